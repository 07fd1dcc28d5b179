package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// Plan is what a simulated run did, kept to hold a real run to it: every call in order, with what
// was read and what would be changed. Content is in it by digests, keyed, and secrets are not in it. What
// verify looks at is no part of it: it judges the machine, and changes nothing.
type Plan struct {
	Format    int               `json:"format"`
	Program   string            `json:"program"`
	Made      time.Time         `json:"made"`
	MachineID string            `json:"machine_id"`
	Runbook   string            `json:"runbook"`
	Modules   string            `json:"modules"` // digest of all modules
	Params    map[string]string `json:"params"`
	Salt      string            `json:"salt"`
	Keyed     bool              `json:"keyed,omitempty"`   // digests are made with Key, too
	Key       string            `json:"-"`                 // of the machine's state, which nobody has who only has the plan
	Secrets   map[string]string `json:"secrets,omitempty"` // parameter to keyed digest
	// Deviations are those of a site's runbook from the stock that it is made of, for whoever reads the plan.
	Deviations []runbook.Deviation `json:"deviations,omitempty"`
	Calls      []PlannedCall       `json:"calls"`
}

// PlannedCall is one call of a builtin.
type PlannedCall struct {
	Builtin string            `json:"builtin"`
	Pos     string            `json:"pos"`
	Args    json.RawMessage   `json:"args"`
	Result  json.RawMessage   `json:"result,omitempty"` // what was read, as far as the plan rests on it
	Actions []PlannedAction   `json:"actions,omitempty"`
	Found   []json.RawMessage `json:"found,omitempty"` // what each found in its place; null where that is not compared
}

// PlannedAction is one action that a call decided on.
type PlannedAction struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

const planFormat = 2

// planLife is how long a plan holds. What it was made from is compared call by call, but not how old an
// admin's decision may be.
const planLife = 7 * 24 * time.Hour

// clockSlip is how far a clock may be set back between a plan and its run.
const clockSlip = time.Hour

// errDiffers is a real run's departure from its plan.
var errDiffers = errors.New("the run differs from its plan")

var errNoMachineID = errors.New("this machine has no machine-id, so a plan cannot be tied to it; make one (tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id)")

// CanPlan tells why no plan can be made on a host, before anything is simulated for it.
func CanPlan(h host.Host) error {
	facts, err := h.Facts()
	if err == nil && facts.MachineID == "" {
		err = errNoMachineID
	}
	return err
}

// NewPlan makes a plan from the journal of a simulated run.
func NewPlan(cfg Config, records []journal.Record, salt, key string) (*Plan, error) {
	if err := CanPlan(cfg.Host); err != nil {
		return nil, err
	}
	facts, err := cfg.Host.Facts()
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Format: planFormat, Program: cfg.Version, MachineID: facts.MachineID,
		Runbook: cfg.Runbook.Name, Modules: cfg.Runbook.Digest(), Params: cfg.Params,
		Salt: salt, Keyed: key != "", Key: key, Secrets: map[string]string{}, Deviations: cfg.Runbook.Deviations,
	}
	salt = p.secret()
	for name, s := range cfg.Secrets {
		p.Secrets[name] = keyed(salt, s)
	}
	f := finder{calls: map[uint64]*PlannedCall{}}
	verifying := false
	for _, rec := range records {
		if p.Made.IsZero() {
			p.Made = rec.Time
		}
		switch rec.Type {
		case "step":
			var step stepRecord
			if err := json.Unmarshal(rec.Data, &step); err != nil {
				return nil, fmt.Errorf("plan: record %d: %w", rec.Seq, err)
			}
			verifying = cfg.Runbook.Verifies(step.Name)
		case "read", "call":
			if verifying {
				continue
			}
			var c callRecord
			if err := json.Unmarshal(rec.Data, &c); err != nil {
				return nil, fmt.Errorf("plan: record %d: %w", rec.Seq, err)
			}
			call := planned(cfg.Runbook, &c, salt)
			f.calls[rec.Seq], f.order = &call, append(f.order, &call)
		case "intent":
			if err := f.intent(rec.Data, salt); err != nil {
				return nil, fmt.Errorf("plan: record %d: %w", rec.Seq, err)
			}
		}
	}
	for _, call := range f.order {
		p.Calls = append(p.Calls, *call)
	}
	return p, nil
}

// secret is what its digests are keyed with.
func (p *Plan) secret() string { return p.Salt + p.Key }

// ErrNoKey is of a plan whose digests cannot be compared.
var ErrNoKey = errors.New("it was made with the key of another state directory, or one that is gone; simulate again with --plan")

// finder adds to a plan's calls what their actions found.
type finder struct {
	calls   map[uint64]*PlannedCall
	order   []*PlannedCall
	scripts bool // packages came or went: what their scripts do, a simulation does not know
}

func (f *finder) intent(data json.RawMessage, salt string) error {
	var rec actionRecord
	if err := json.Unmarshal(data, &rec); err != nil {
		return err
	}
	a, err := action.Decode(rec.Kind, rec.Data)
	if err != nil {
		return err
	}
	if _, ok := a.(action.PackageTransaction); ok {
		f.scripts = true
	}
	call := f.calls[rec.Call]
	found := foundBy(a, salt)
	if f.scripts || found == nil || call == nil {
		return nil
	}
	for len(call.Found) < len(call.Actions) {
		call.Found = append(call.Found, nil)
	}
	call.Found[rec.Index] = found
	return nil
}

// foundBy is what a prepared action found in the place of what it makes; nil for one that keeps no
// pre-image, or a transaction of packages, which is solved again. Times are left out, and what a
// directory holds.
func foundBy(a action.Action, salt string) json.RawMessage {
	keeps, ok := a.(action.Recorder)
	if _, packages := a.(action.PackageTransaction); !ok || packages {
		return nil
	}
	found := map[string]any{}
	for _, p := range keeps.Preimages() {
		it := map[string]any{"exists": p.Exists}
		if p.Exists {
			it["mode"], it["uid"], it["gid"] = p.Mode.String(), p.UID, p.GID
		}
		if p.Target != "" {
			it["target"] = p.Target
		}
		if p.Blob != nil {
			it["bytes"], it["content"] = p.Blob.Size, p.Blob.SHA256
		}
		found[p.Path] = it
	}
	return cover(mustJSON(found), salt)
}

func planned(rb *runbook.Runbook, c *callRecord, salt string) PlannedCall {
	call := PlannedCall{Builtin: c.Builtin, Pos: c.Pos, Args: cover(c.Args, salt)}
	if b := rb.Builtin(c.Builtin); b != nil && b.Effect == script.Read && !b.Volatile {
		if held := lasting(b, c); held != nil {
			call.Result = cover(held, salt)
		}
	}
	for _, a := range c.Actions {
		call.Actions = append(call.Actions, PlannedAction{a.Kind, cover(a.Data, salt)})
	}
	return call
}

// lasting is what a read answered, as far as a plan rests on it; nil for nothing.
func lasting(b *script.Builtin, c *callRecord) json.RawMessage {
	value := c.Value
	if c.Blob != nil {
		value = mustJSON(map[string]any{"content": c.Blob.SHA256})
	}
	if b.Lasting == nil {
		return value
	}
	var args map[string]any
	var answer any
	var record struct {
		Fields map[string]any `json:"struct"`
	}
	_ = json.Unmarshal(c.Args, &args) // these are what encodeArgs and encodeValue made
	_ = json.Unmarshal(value, &answer)
	if json.Unmarshal(value, &record) != nil || record.Fields == nil {
		record.Fields = map[string]any{"": answer}
	}
	held := b.Lasting(args, record.Fields)
	if held == nil {
		return nil
	}
	return mustJSON(held)
}

func digestJSON(data json.RawMessage) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func keyed(salt string, s host.Secret) string {
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte(s.Reveal()))
	return hex.EncodeToString(mac.Sum(nil))
}

// Check tells why a plan is not for this run; nil if it is. A run that goes on is held to its plan
// whatever its age, and by another version of the program, too, as long as that reads the plan: each
// call is compared.
func (p *Plan) Check(cfg Config) error {
	if p.Keyed && p.Key == "" {
		return ErrNoKey
	}
	facts, err := cfg.Host.Facts()
	if err != nil {
		return err
	}
	resumed := len(cfg.Previous) > 0
	switch {
	case p.Format != planFormat:
		return fmt.Errorf("%w: the plan's format is %d, that of this version of the program is %d: the plan was made by version %s", errDiffers, p.Format, planFormat, p.Program)
	case p.Program != cfg.Version && !resumed:
		return fmt.Errorf("%w: the plan was made by version %s of the program, this is %s", errDiffers, p.Program, cfg.Version)
	case facts.MachineID == "":
		return fmt.Errorf("%w: %w", errDiffers, errNoMachineID)
	case p.MachineID != facts.MachineID:
		return fmt.Errorf("%w: the plan was made for another machine (machine-id %s)", errDiffers, p.MachineID)
	case cfg.Now != nil && !resumed && cfg.Now().Sub(p.Made) > planLife:
		return fmt.Errorf("%w: the plan is old: it was made on %s, and holds for %d days", errDiffers, p.Made.Local().Format("2006-01-02 15:04"), planLife/(24*time.Hour))
	case cfg.Now != nil && !resumed && p.Made.Sub(cfg.Now()) > clockSlip:
		return fmt.Errorf("%w: the plan was made in the future (%s), so its age is not known: the clock was set back since, or is wrong", errDiffers, p.Made.Local().Format("2006-01-02 15:04"))
	case p.Runbook != cfg.Runbook.Name || p.Modules != cfg.Runbook.Digest():
		return fmt.Errorf("%w: the runbook has changed since the plan was made", errDiffers)
	case !sameStrings(p.Params, cfg.Params):
		return fmt.Errorf("%w: the plan was made with other parameters", errDiffers)
	case len(p.Secrets) != len(cfg.Secrets):
		return fmt.Errorf("%w: the plan was made with other secrets", errDiffers)
	}
	for name, s := range cfg.Secrets {
		if !hmac.Equal([]byte(p.Secrets[name]), []byte(keyed(p.secret(), s))) {
			return fmt.Errorf("%w: secret %s is another one", errDiffers, name)
		}
	}
	return nil
}

func sameStrings(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// hold compares a call, about to be carried out or answered, with the plan.
func (r *Run) hold(rec *callRecord) error {
	if r.cfg.Plan == nil || r.rb.Verifies(r.step.Name) {
		return nil
	}
	err := r.compare(rec)
	if err != nil && r.cfg.Plan.Program != r.cfg.Version {
		err = fmt.Errorf("%w (the plan was made by version %s of the program, this is %s: that one may still do as planned)", err, r.cfg.Plan.Program, r.cfg.Version)
	}
	return err
}

func (r *Run) compare(rec *callRecord) error {
	at := r.planned
	r.planned++
	if at >= len(r.cfg.Plan.Calls) {
		return fmt.Errorf("%w: at %s it calls %s, and the plan had ended", errDiffers, rec.Pos, rec.Builtin)
	}
	want, got := r.cfg.Plan.Calls[at], planned(r.rb, rec, r.cfg.Plan.secret())
	if want.Builtin != got.Builtin {
		return fmt.Errorf("%w: at %s it calls %s, the plan has %s at %s", errDiffers, got.Pos, got.Builtin, want.Builtin, want.Pos)
	}
	if d := departures(want.Args, got.Args); d != "" {
		return fmt.Errorf("%w: at %s it calls %s with other arguments: %s", errDiffers, got.Pos, got.Builtin, d)
	}
	if d := departures(want.Result, got.Result); d != "" {
		return fmt.Errorf("%w: at %s %s answers otherwise than when the plan was made: %s", errDiffers, got.Pos, named(rec), d)
	}
	if len(want.Actions) != len(got.Actions) {
		return fmt.Errorf("%w: at %s %s would make %s, the plan has %d", errDiffers, got.Pos, got.Builtin, plural(len(got.Actions), "change"), len(want.Actions))
	}
	for i := range want.Actions {
		if want.Actions[i].Kind != got.Actions[i].Kind {
			return fmt.Errorf("%w: at %s %s would change something else than the plan says (change %d): %s instead of %s",
				errDiffers, got.Pos, got.Builtin, i+1, got.Actions[i].Kind, want.Actions[i].Kind)
		}
		if d := departures(want.Actions[i].Data, got.Actions[i].Data); d != "" {
			return fmt.Errorf("%w: at %s %s would change something else than the plan says (change %d): %s", errDiffers, got.Pos, got.Builtin, i+1, d)
		}
	}
	return nil
}

// named is a call with its arguments, secrets left out; shortened where they are long.
func named(rec *callRecord) string {
	var args map[string]any
	if json.Unmarshal(rec.Args, &args) != nil {
		return rec.Builtin
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		words = append(words, fmt.Sprintf("%s = %s", name, mustJSON(args[name])))
	}
	text := strings.Join(words, ", ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return rec.Builtin + "(" + text + ")"
}

// holdFound compares what a prepared action found in its place with what it found when the plan was
// made: what it would replace is part of what the plan has shown.
func (r *Run) holdFound(c *script.Call, i int, a action.Action) error {
	if r.cfg.Plan == nil || r.inHand >= len(r.cfg.Plan.Calls) {
		return nil
	}
	want := r.cfg.Plan.Calls[r.inHand].Found
	if i >= len(want) || isNull(want[i]) {
		return nil
	}
	d := departures(want[i], foundBy(a, r.cfg.Plan.secret()))
	if d == "" {
		return nil
	}
	return fmt.Errorf("%w: at %s %s: what is there is not what was there when the plan was made: %s", errDiffers, c.Pos(), a.Summary(), d)
}

// planCarriedOut refuses to call a run done that made fewer calls than its plan.
func (r *Run) planCarriedOut() error {
	if r.cfg.Plan == nil || r.planned >= len(r.cfg.Plan.Calls) {
		return nil
	}
	next := r.cfg.Plan.Calls[r.planned]
	return fmt.Errorf("%w: it has ended, and the plan goes on with %s at %s", errDiffers, next.Builtin, next.Pos)
}
