package action

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Service{} }) }

// Service ("svc.set") brings a service to a state: running or not, started at boot or not, masked or
// not; what is not given stays. Apply and Undo look at each of the three and change those that
// differ, so both can be done again from half-way.
//
// A start with Works is done when the service works. A stop with Works looks, before, what of that the service
// does, and holds the service to it when Undo has started it again, and to no more.
type Service struct {
	Name     string        `json:"name"`
	Active   *bool         `json:"active,omitempty"`
	Enabled  *bool         `json:"enabled,omitempty"`
	Masked   *bool         `json:"masked,omitempty"`    // systemd only
	Patience time.Duration `json:"patience,omitempty"`  // to wait for its processes to end; 0: two minutes
	NoReturn string        `json:"no_return,omitempty"` // why a start cannot be undone, if it cannot
	Works    *Works        `json:"works,omitempty"`     // what a start has to come to, or a stop takes away
	Lenient  bool          `json:"lenient,omitempty"`   // a start that fails is told, and no error

	Before  host.Service    `json:"before"`
	Served  []host.Question `json:"served,omitempty"`  // of a service that is stopped: what it answered before
	Unasked []string        `json:"unasked,omitempty"` // what it could not be asked then, and why
	From    int64           `json:"from,omitempty"`    // the revision of the database before the start; 0 if it could not be asked for
	Shape   string          `json:"shape,omitempty"`   // what the database's tables were then; empty if it could not be asked for
	// LogFrom is where its log ended before the start.
	LogFrom *host.LogMark `json:"log_from,omitempty"`

	gone     bool           // Undo found it removed
	packages []string       // that were removed since the run, and may have had it
	orphans  []host.Process // of one that is gone, which Undo has stopped
}

// patience is how long a service may take to stop: as long as systemd's own default, and some more.
const patience = 2 * time.Minute

func (a *Service) Kind() string { return "svc.set" }

func (a *Service) Stage(env *Env) error {
	if a.Works == nil || a.Works.Upgrade == nil {
		return nil
	}
	return a.Works.Upgrade.Database.stage(env)
}

// Servers implements Connector.
func (a *Service) Servers() ([]host.Server, error) {
	if a.Works == nil || a.Works.Upgrade == nil {
		return nil, nil
	}
	return a.Works.Upgrade.Database.Servers()
}

func (a *Service) Touches() []policy.Target {
	return []policy.Target{{Class: policy.Service, Name: a.Name}}
}

func (a *Service) Summary() string {
	var verbs []string
	add := func(want *bool, yes, no string) {
		switch {
		case want == nil:
		case *want:
			verbs = append(verbs, yes)
		default:
			verbs = append(verbs, no)
		}
	}
	add(a.Active, "start", "stop")
	add(a.Enabled, "enable", "disable")
	add(a.Masked, "mask", "unmask")
	return strings.Join(verbs, " and ") + " " + a.Name
}

// Irreversible is NoReturn if the service will be started.
func (a *Service) Irreversible() string {
	if a.Active == nil || !*a.Active || a.Before.Active {
		return ""
	}
	return a.NoReturn
}

func (a *Service) Prepare(env *Env) (bool, error) {
	now, there, err := a.Now(env.Host)
	if err != nil {
		return false, err
	}
	if !there {
		if or(a.Active, false) || or(a.Enabled, false) || or(a.Masked, false) {
			return false, fmt.Errorf("%s: this host has no service %s; install the package that brings it first", a.Summary(), a.Name)
		}
		return false, nil // what is not there does not run
	}
	if or(a.Masked, false) && now.Kind != "systemd" {
		return false, fmt.Errorf("%s: only systemd can mask a service; disable it instead: %w", a.Summary(), host.ErrUnsupported)
	}
	a.Before = now
	a.markLog(env, a.want(now) != now)
	if a.want(now) != now {
		a.recordRevision(env)
		return true, a.recordServed(env, now)
	}
	if a.Works == nil || !or(a.Active, false) {
		return false, nil
	}
	works, err := a.worksNow(env)
	return !works, err
}

// recordRevision asks for the revision that a start begins with: the progress counts from there.
func (a *Service) recordRevision(env *Env) {
	if a.Works == nil || a.Works.Upgrade == nil {
		return
	}
	up := a.Works.Upgrade
	if conn, err := up.Database.conn(env); err == nil {
		a.From, _ = env.Host.Revision(env.Ctx, host.RevisionQuery{Conn: conn, Query: up.Query, Service: a.Name, Target: up.Target})
	}
	a.Shape, _ = up.shape(env)
}

// recordServed asks a service that will be stopped what it answers.
func (a *Service) recordServed(env *Env, now host.Service) error {
	if a.Works == nil || !now.Active || or(a.Active, true) {
		return nil
	}
	for _, q := range a.Works.Questions {
		switch _, err := env.Host.Ask(env.Ctx, q); {
		case err == nil:
			a.Served = append(a.Served, q)
		case errors.Is(err, host.ErrUnasked):
			a.Unasked = append(a.Unasked, err.Error())
		}
	}
	return env.Ctx.Err()
}

// Told implements Teller: what could not be asked before a stop, nobody holds the service to; and what is gone is told.
func (a *Service) Told() []string {
	var lines []string
	if a.gone && len(a.packages) == 0 { // else they are told
		lines = append(lines, fmt.Sprintf("the service %s is gone, by whoever removed its file since the run, and there is nothing to set back", a.Name))
	}
	if len(a.orphans) > 0 {
		lines = append(lines, fmt.Sprintf("the service %s ran on without its unit, which somebody has removed since the run, and was stopped: %s",
			a.Name, host.ProcessList(a.orphans)))
	}
	for _, problem := range a.Unasked {
		lines = append(lines, fmt.Sprintf("whether %s served before it was stopped could not be seen (%s): see that it does now", a.Name, problem))
	}
	return lines
}

// LogFile implements Logger.
func (a *Service) LogFile() string {
	if a.Works == nil || !or(a.Active, false) {
		return ""
	}
	return a.Works.Log
}

// Now looks the service up by its exact name. It reports whether the host has it at all.
func (a *Service) Now(v host.View) (host.Service, bool, error) {
	list, err := v.Services(globEscape(a.Name))
	if err != nil {
		return host.Service{}, false, err
	}
	for _, s := range list {
		if s.Name == a.Name {
			return s, true, nil
		}
	}
	return host.Service{Name: a.Name}, false, nil
}

// globEscape makes a path.Match pattern that matches the name only.
func globEscape(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// want is the state asked for. Whether a masked service is enabled can be neither seen nor changed.
func (a *Service) want(now host.Service) host.Service {
	goal := now
	goal.Active, goal.Masked = or(a.Active, now.Active), or(a.Masked, now.Masked)
	if !now.Masked || !goal.Masked {
		goal.Enabled = or(a.Enabled, now.Enabled)
	}
	return goal
}

// Cost implements Coster.
func (a *Service) Cost() Span {
	switch {
	case a.Starts():
		return startSpan
	case a.Stops():
		return stopSpan
	}
	return smallSpan
}

// BrokenOff implements Breakable.
func (a *Service) BrokenOff() string {
	return "what was asked of the service goes on by itself; a resume looks how it came out"
}

// ServiceName implements ServiceSetter.
func (a *Service) ServiceName() string { return a.Name }

// Stops implements ServiceSetter.
func (a *Service) Stops() bool { return a.Active != nil && !*a.Active && a.Before.Active }

// Starts implements ServiceSetter.
func (a *Service) Starts() bool { return a.Active != nil && *a.Active && !a.Before.Active }

// StartsAgain implements ServiceSetter.
func (a *Service) StartsAgain() bool { return a.Active != nil && a.Before.Active }

// ChangesDatabase implements DatabaseChanger.
func (a *Service) ChangesDatabase() bool { return a.Irreversible() != "" }

func (a *Service) Apply(env *Env) (Result, error) {
	done := Result{Summary: a.Summary()}
	from := a.logFrom(env)
	err := a.bring(env, a.want)
	if err != nil && a.Lenient && env.Ctx.Err() == nil {
		done.Summary += ": " + err.Error()
		return done, nil
	}
	if a.Works == nil || a.Lenient || !or(a.Active, false) {
		for _, problem := range a.Unasked {
			done.Lines = append(done.Lines, "it could not be seen whether it served: "+problem)
		}
		return done, err
	}
	if err != nil {
		return done, a.explained(env, err)
	}
	log, err := a.awaitWorks(env, *a.Works, from)
	if err != nil {
		return done, err
	}
	done.Summary += ", which works" + a.Works.seen() + log.seen()
	done.Values = log.values()
	return done, nil
}

// explained adds to the error of a start what the service's log ends with.
func (a *Service) explained(env *Env, err error) error {
	if env.Ctx.Err() != nil {
		return err
	}
	trace := env.Host.ServiceTrace(env.Ctx, a.Name, a.Works.Log)
	if len(trace.Lines) == 0 {
		return err
	}
	return fmt.Errorf("%w; its log (%s) ends with:\n%s", err, trace.Log, strings.Join(trace.Lines, "\n"))
}

// seen names what was seen of a service that works.
func (w Works) seen() string {
	var asked []string
	for _, q := range w.Questions {
		asked = append(asked, q.String())
	}
	if len(asked) == 0 {
		return ""
	}
	return ": it answers " + strings.Join(asked, ", ")
}

// Undo sees that a service that runs again does what it did before.
func (a *Service) Undo(env *Env) error {
	gone, err := a.withdrawn(env)
	if a.gone = gone; gone && err == nil {
		a.packages, err = env.Withdrawn()
		return errors.Join(err, a.stopOrphans(env))
	}
	if err != nil {
		return err
	}
	err = a.bring(env, func(now host.Service) host.Service { return a.before(env, now) })
	if err != nil || !a.Before.Active || len(a.Served) == 0 {
		return err
	}
	return a.await(env, Works{Questions: a.Served, Log: a.Works.Log, Patience: servedPatience})
}

// withdrawn reports whether a service is gone that came with packages of the run, named as it is, which will be taken away
// behind this action: somebody has removed them since, or the service's file. systemd goes by a file that is gone until it
// reads them again.
func (a *Service) withdrawn(env *Env) (bool, error) {
	of := func(name string) bool { return stem(name) == stem(a.Name) }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(env.Arrived)), of) {
		return false, nil
	}
	_, there, err := a.Now(env.Host)
	if err != nil || !there {
		return !there, err
	}
	if gone, err := env.Withdrawn(); err != nil || !slices.ContainsFunc(gone, of) {
		return false, err
	}
	if err := env.Host.ReloadServices(); err != nil {
		return false, err
	}
	_, there, err = a.Now(env.Host)
	return !there, err
}

// stopOrphans stops what runs on of a service that the run has started and that is gone: where scripts of packages may stop
// nothing (policy-rc.d, --noscripts), or none are run, a removal leaves its processes. They would keep what the old service
// needs to itself. systemd knows them without their unit; where an init script alone could stop them, somebody has to.
func (a *Service) stopOrphans(env *Env) error {
	if a.Active == nil || a.Before.Active {
		return nil
	}
	left, err := env.Host.ServiceProcesses(a.Name)
	if err != nil || len(left) == 0 {
		return err
	}
	if a.Before.Kind == "sysv" {
		return fmt.Errorf("service %s: its init script was removed since the run, and of it %s run on, which nobody else can be asked to stop; end them (kill %s), then roll back again",
			a.Name, host.ProcessList(left), pids(left))
	}
	env.Progress(Progress{What: "wait for " + a.Name + " to stop, whose unit is gone"})
	if err := env.stopService(a.Name, a.wait()); err != nil {
		return fmt.Errorf("its unit was removed since the run: %w", err)
	}
	a.orphans = left
	return nil
}

// pids are the arguments of kill(1).
func pids(list []host.Process) string {
	var numbers []string
	for _, p := range list {
		numbers = append(numbers, strconv.Itoa(p.PID))
	}
	return strings.Join(numbers, " ")
}

// servedPatience is how long a service that is started again may take to do what it did before.
const servedPatience = 10 * time.Minute

// before is the state that Prepare found, in what the action was asked to change.
func (a *Service) before(env *Env, now host.Service) host.Service {
	was := now
	if a.Active != nil {
		was.Active = a.Before.Active
	}
	if a.Masked != nil || a.ranMasked() {
		was.Masked = a.Before.Masked
	}
	switch {
	case a.Enabled == nil || now.Masked && was.Masked:
	case !a.Before.Masked:
		was.Enabled = a.Before.Enabled
	case len(env.Marks) > 0:
		was.Enabled = string(env.Marks[0]) == "true"
	}
	return was
}

// bring changes what differs from the state that want makes of the present one, and looks again.
func (a *Service) bring(env *Env, want func(host.Service) host.Service) error {
	now, there, err := a.Now(env.Host)
	if err != nil {
		return err
	}
	goal := want(now)
	if !there && (goal.Active || goal.Enabled || goal.Masked) {
		return fmt.Errorf("this host has no service %s any more", a.Name)
	}
	if err := a.change(env, now, goal); err != nil {
		return fmt.Errorf("service %s: %w", a.Name, err)
	}
	if a.Enabled != nil || a.Masked != nil || a.ranMasked() { // links, which init's tools do not sync; perhaps of an attempt that was cut off
		if err := syncFileSystems(env.Host, "/etc"); err != nil {
			return err
		}
	}
	if now, _, err = a.Now(env.Host); err != nil {
		return err
	}
	if now.Active != goal.Active || now.Masked != goal.Masked || a.Enabled != nil && !goal.Masked && now.Enabled != goal.Enabled {
		return fmt.Errorf("service %s is %s, and should be %s; see its log", a.Name, stateOf(now), stateOf(goal))
	}
	return nil
}

// ranMasked reports whether the service ran although it was masked: somebody had masked it so that it
// would not start again. To make it run once more the mask has to be lifted for a moment.
// A transaction of packages keeps it as a service that is to be both.
func (a *Service) ranMasked() bool {
	return a.Before.Active && a.Before.Masked || or(a.Active, false) && or(a.Masked, false)
}

// change unmasks first and masks last, because a masked service can be neither started nor enabled.
func (a *Service) change(env *Env, now, goal host.Service) error {
	h := env.Host
	if now.Masked && (!goal.Masked || a.ranMasked() && goal.Active && !now.Active) {
		if err := h.UnmaskService(a.Name); err != nil {
			return err
		}
		var err error
		if now, _, err = a.Now(h); err != nil {
			return err
		}
	}
	if a.Before.Masked && a.Enabled != nil && len(env.Marks) == 0 {
		if err := env.Mark(now.Enabled); err != nil { // only now it can be seen
			return err
		}
	}
	if a.Enabled != nil && !now.Masked && now.Enabled != goal.Enabled {
		toggle := h.DisableService
		if goal.Enabled {
			toggle = h.EnableService
		}
		if err := toggle(a.Name); err != nil {
			return err
		}
	}
	err := a.startOrStop(env, now, goal)
	if goal.Masked && !now.Masked {
		err = errors.Join(err, h.MaskService(a.Name))
	}
	return err
}

func (a *Service) startOrStop(env *Env, now, goal host.Service) error {
	switch {
	case now.Active && goal.Active && a.mayBeStopping(now):
		env.Progress(Progress{What: "wait for " + a.Name + " to stop and to start again"})
		return env.Host.StartService(env.Ctx, a.Name)
	case now.Active == goal.Active:
		return nil
	case goal.Active:
		env.Progress(Progress{What: "wait for " + a.Name + " to start"})
		return env.Host.StartService(env.Ctx, a.Name)
	}
	env.Progress(Progress{What: "wait for " + a.Name + " to stop"})
	return env.stopService(a.Name, a.wait())
}

func (a *Service) wait() time.Duration {
	if a.Patience == 0 {
		return patience
	}
	return a.Patience
}

// mayBeStopping reports whether a stop that this action asked for may be under way: systemd goes on with it
// when the program that asked is killed, and the service counts as running until it has ended. To
// start one that does not stop changes nothing. A masked one cannot be started.
func (a *Service) mayBeStopping(now host.Service) bool {
	return now.Kind == "systemd" && !now.Masked && a.Active != nil && !*a.Active
}

func stateOf(s host.Service) string {
	words := []string{"stopped", "disabled"}
	if s.Active {
		words[0] = "running"
	}
	if s.Enabled {
		words[1] = "enabled"
	}
	if s.Masked {
		words[1] = "masked"
	}
	return strings.Join(words, " and ")
}

// Differences says how the service's state differs from before.
func (a *Service) Differences(env *Env) ([]string, error) {
	now, _, err := a.Now(env.Host)
	if err != nil || a.gone {
		return nil, err
	}
	if was := a.before(env, now); was != now {
		return []string{fmt.Sprintf("service %s is %s, was %s", a.Name, stateOf(now), stateOf(was))}, nil
	}
	return nil, nil
}
