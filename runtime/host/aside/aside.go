// Package aside has a process of its own answer what one that has given up its power cannot ask: the package manager,
// which locks, fetches lists and keeps caches, and the services, whose processes only root sees. That process answers
// these questions, and does nothing else; what it is sent by is a pipe.
package aside

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// Readers are what is asked.
type Readers interface {
	host.PackageReader
	host.ServiceReader
}

// Confined is who can say what keeps the process that answers.
type Confined interface{ Locks() string }

func locksOf(_ context.Context, r Readers, _ string) (string, error) {
	if c, ok := r.(Confined); ok {
		return c.Locks(), nil
	}
	return "", nil
}

// methods are the questions that are answered, by name.
var methods = map[string]func(context.Context, Readers, *gob.Decoder) (any, error){
	"PackageManager": answered(func(_ context.Context, r Readers, _ string) (host.PackageManager, error) { return r.PackageManager() }),
	"Packages":       answered(func(_ context.Context, r Readers, _ string) ([]host.Package, error) { return r.Packages() }),
	"PackageFiles":   answered(func(_ context.Context, r Readers, name string) ([]string, error) { return r.PackageFiles(name) }),
	"Candidates": answered(func(_ context.Context, r Readers, names []string) (map[string][]host.Candidate, error) {
		return r.Candidates(names)
	}),
	"Solve":           answered(func(_ context.Context, r Readers, tx host.Transaction) (host.Solution, error) { return r.Solve(tx) }),
	"PackageLock":     answered(func(_ context.Context, r Readers, _ string) (*host.LockHolder, error) { return r.PackageLock() }),
	"PackageAudit":    answered(func(_ context.Context, r Readers, _ string) ([]string, error) { return r.PackageAudit() }),
	"Losses":          answered(func(_ context.Context, r Readers, names []string) (map[string]string, error) { return r.Losses(names) }),
	"ProbeRepository": answered(probeFor),
	"Services":        answered(func(_ context.Context, r Readers, pattern string) ([]host.Service, error) { return r.Services(pattern) }),
	"Processes":       answered(func(_ context.Context, r Readers, _ string) ([]host.Process, error) { return r.Processes() }),
	"Listeners":       answered(func(_ context.Context, r Readers, _ string) ([]host.Listener, error) { return r.Listeners() }),
	"ServiceProcesses": answered(func(_ context.Context, r Readers, name string) ([]host.Process, error) {
		return r.ServiceProcesses(name)
	}),
	"Locks":        answered(locksOf),
	"Ask":          answered(func(ctx context.Context, r Readers, q host.Question) (string, error) { return r.Ask(ctx, q) }),
	"ServiceLock":  answered(lockFor),
	"ServiceTrace": answered(traceFor),
	"LogEnd":       answered(logEndFor),
	"LogSince":     answered(logSinceFor),
}

// Arguments of questions with more than one.
type (
	probe struct {
		Files    []file
		Packages []string
		Tx       *host.Transaction
	}
	file struct {
		Path, Content string
		Mode          uint32
	}
	lockArgs struct {
		Service string
		Paths   []string
	}
	logArgs struct {
		Name, File string
		From       host.LogMark
	}
)

func probeFor(ctx context.Context, r Readers, p probe) (host.RepositoryAnswer, error) {
	asked := host.RepositoryProbe{Packages: p.Packages, Tx: p.Tx}
	for _, f := range p.Files {
		asked.Files = append(asked.Files, host.ConfigFile{Path: f.Path, Content: host.NewSecret(f.Content), Mode: f.Mode})
	}
	return r.ProbeRepository(ctx, asked)
}

func lockFor(_ context.Context, r Readers, a lockArgs) (*host.ServiceLock, error) {
	return r.ServiceLock(a.Service, a.Paths)
}

func traceFor(ctx context.Context, r Readers, a logArgs) (host.Trace, error) {
	return r.ServiceTrace(ctx, a.Name, a.File), nil
}

func logEndFor(ctx context.Context, r Readers, a logArgs) (host.LogMark, error) {
	return r.LogEnd(ctx, a.Name, a.File), nil
}

func logSinceFor(ctx context.Context, r Readers, a logArgs) (host.LogPart, error) {
	return r.LogSince(ctx, a.Name, a.File, a.From), nil
}

// question comes before its argument.
type question struct {
	Method   string
	Deadline time.Time // zero for none
}

// box holds an argument or an answer: what is nil has no form of its own on the way.
type box[T any] struct {
	Value T
	Error *failure
}

// answered makes an answer of a question: it reads the argument, asks, and boxes what comes.
func answered[A, R any](ask func(context.Context, Readers, A) (R, error)) func(context.Context, Readers, *gob.Decoder) (any, error) {
	return func(ctx context.Context, r Readers, in *gob.Decoder) (any, error) {
		var a box[A]
		if err := in.Decode(&a); err != nil {
			return nil, err
		}
		value, err := ask(ctx, r, a.Value)
		return box[R]{value, failureOf(err)}, nil
	}
}

// Serve answers questions until there are no more.
func Serve(ctx context.Context, r Readers, from io.Reader, to io.Writer) error {
	in, out := gob.NewDecoder(from), gob.NewEncoder(to)
	for {
		var q question
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		method, known := methods[q.Method]
		if !known {
			return fmt.Errorf("%q is no question", q.Method)
		}
		answer, err := within(ctx, q.Deadline, func(ctx context.Context) (any, error) { return method(ctx, r, in) })
		if err == nil {
			err = out.Encode(answer)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.Method, err)
		}
	}
}

func within(ctx context.Context, deadline time.Time, do func(context.Context) (any, error)) (any, error) {
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	return do(ctx)
}

// failure is an error on its way: its words, and by what it is told from others.
type failure struct {
	Text    string
	Is      []string // keys of signs
	Errno   syscall.Errno
	Solve   *host.SolveError
	Command *host.CommandError
	Foreign *host.ForeignLinkError
}

// signs are the errors that are told from others.
var signs = map[string]error{
	"unsupported": host.ErrUnsupported, "unknown": host.ErrUnknown, "no account": host.ErrNoAccount, "not regular": host.ErrNotRegular,
	"exchanged": host.ErrExchanged, "unasked": host.ErrUnasked, "never answers": host.ErrNeverAnswers,
	"not there": fs.ErrNotExist, "no permission": fs.ErrPermission, "cancelled": context.Canceled, "too late": context.DeadlineExceeded,
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error()}
	for name, sign := range signs {
		if errors.Is(err, sign) {
			f.Is = append(f.Is, name)
		}
	}
	errors.As(err, &f.Errno)
	errors.As(err, &f.Solve)
	errors.As(err, &f.Command)
	errors.As(err, &f.Foreign)
	return f
}

func (f *failure) asError() error {
	if f == nil {
		return nil
	}
	e := &farError{text: cmp.Or(f.Text, "it failed, and did not say why")}
	for _, name := range f.Is {
		e.causes = append(e.causes, signs[name])
	}
	if f.Errno != 0 {
		e.causes = append(e.causes, f.Errno)
	}
	if f.Solve != nil {
		e.causes = append(e.causes, f.Solve)
	}
	if f.Command != nil {
		e.causes = append(e.causes, f.Command)
	}
	if f.Foreign != nil {
		e.causes = append(e.causes, f.Foreign)
	}
	return e
}

// farError is an error that another process met.
type farError struct {
	text   string
	causes []error
}

func (e *farError) Error() string   { return e.text }
func (e *farError) Unwrap() []error { return e.causes }
