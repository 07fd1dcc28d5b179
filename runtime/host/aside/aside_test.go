package aside_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/aside"
)

// connect has a process aside answer, which is a goroutine here.
func connect(t *testing.T, r aside.Readers) *aside.Client {
	t.Helper()
	questions, ask := io.Pipe()
	answers, answer := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		err := aside.Serve(ctx, r, questions, answer)
		questions.CloseWithError(io.ErrClosedPipe)
		answer.Close()
		done <- err
	}()
	t.Cleanup(func() {
		ask.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return aside.NewClient(answers, ask, stop)
}

// fill puts something else than zero into all that a value holds.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(time.Unix(int64(*n), 0).UTC()))
			return
		case reflect.TypeFor[host.Secret]():
			v.Set(reflect.ValueOf(host.NewSecret(fmt.Sprint("secret", *n))))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("text", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		panic(v.Type().String())
	}
}

// heard is a host that notes what it was asked, and answers what it is to.
type heard struct {
	method string
	args   []any
	answer []reflect.Value
}

func (h *heard) take(method string, args ...any) { h.method, h.args = method, args }

func out[T any](h *heard, i int) T { v, _ := h.answer[i].Interface().(T); return v }

func (h *heard) PackageManager() (host.PackageManager, error) {
	h.take("PackageManager")
	return out[host.PackageManager](h, 0), out[error](h, 1)
}
func (h *heard) Packages() ([]host.Package, error) {
	h.take("Packages")
	return out[[]host.Package](h, 0), out[error](h, 1)
}
func (h *heard) PackageFiles(name string) ([]string, error) {
	h.take("PackageFiles", name)
	return out[[]string](h, 0), out[error](h, 1)
}
func (h *heard) Candidates(names []string) (map[string][]host.Candidate, error) {
	h.take("Candidates", names)
	return out[map[string][]host.Candidate](h, 0), out[error](h, 1)
}
func (h *heard) Solve(tx host.Transaction) (host.Solution, error) {
	h.take("Solve", tx)
	return out[host.Solution](h, 0), out[error](h, 1)
}
func (h *heard) PackageLock() (*host.LockHolder, error) {
	h.take("PackageLock")
	return out[*host.LockHolder](h, 0), out[error](h, 1)
}
func (h *heard) PackageAudit() ([]string, error) {
	h.take("PackageAudit")
	return out[[]string](h, 0), out[error](h, 1)
}
func (h *heard) Losses(names []string) (map[string]string, error) {
	h.take("Losses", names)
	return out[map[string]string](h, 0), out[error](h, 1)
}
func (h *heard) ProbeRepository(_ context.Context, p host.RepositoryProbe) (host.RepositoryAnswer, error) {
	h.take("ProbeRepository", p)
	return out[host.RepositoryAnswer](h, 0), out[error](h, 1)
}
func (h *heard) Services(pattern string) ([]host.Service, error) {
	h.take("Services", pattern)
	return out[[]host.Service](h, 0), out[error](h, 1)
}
func (h *heard) Processes() ([]host.Process, error) {
	h.take("Processes")
	return out[[]host.Process](h, 0), out[error](h, 1)
}
func (h *heard) Listeners() ([]host.Listener, error) {
	h.take("Listeners")
	return out[[]host.Listener](h, 0), out[error](h, 1)
}
func (h *heard) ServiceProcesses(name string) ([]host.Process, error) {
	h.take("ServiceProcesses", name)
	return out[[]host.Process](h, 0), out[error](h, 1)
}
func (h *heard) Ask(_ context.Context, q host.Question) (string, error) {
	h.take("Ask", q)
	return out[string](h, 0), out[error](h, 1)
}
func (h *heard) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	h.take("ServiceLock", service, paths)
	return out[*host.ServiceLock](h, 0), out[error](h, 1)
}
func (h *heard) ServiceTrace(_ context.Context, name, file string) host.Trace {
	h.take("ServiceTrace", name, file)
	return out[host.Trace](h, 0)
}
func (h *heard) LogEnd(_ context.Context, name, file string) host.LogMark {
	h.take("LogEnd", name, file)
	return out[host.LogMark](h, 0)
}
func (h *heard) LogSince(_ context.Context, name, file string, from host.LogMark) host.LogPart {
	h.take("LogSince", name, file, from)
	return out[host.LogPart](h, 0)
}

// TestAskedAsIs asks each question of the interfaces aside: what is asked, and what is answered, arrives whole, and so
// does nothing at all.
func TestAskedAsIs(t *testing.T) {
	h := &heard{}
	client := reflect.ValueOf(connect(t, h))
	same := cmp.Options{cmp.Comparer(func(a, b host.Secret) bool { return a.Reveal() == b.Reveal() })}
	questions := reflect.TypeFor[aside.Readers]()
	for i := range questions.NumMethod() {
		method := questions.Method(i)
		for _, filled := range []bool{true, false} {
			n := 0
			var args []reflect.Value
			var want []any
			for j := range method.Type.NumIn() {
				if method.Type.In(j) == reflect.TypeFor[context.Context]() {
					args = append(args, reflect.ValueOf(t.Context()))
					continue
				}
				v := reflect.New(method.Type.In(j)).Elem()
				if filled {
					fill(v, &n)
				}
				args, want = append(args, v), append(want, v.Interface())
			}
			h.answer = nil
			for j := range method.Type.NumOut() {
				v := reflect.New(method.Type.Out(j)).Elem()
				if filled && v.Kind() != reflect.Interface {
					fill(v, &n)
				}
				h.answer = append(h.answer, v)
			}
			got := client.MethodByName(method.Name).Call(args)
			if diff := cmp.Diff(want, h.args, same); h.method != method.Name || diff != "" {
				t.Fatalf("%s is asked as %s: %s", method.Name, h.method, diff)
			}
			for j, v := range got {
				if diff := cmp.Diff(h.answer[j].Interface(), v.Interface(), same); diff != "" {
					t.Errorf("%s, answer %d: %s", method.Name, j, diff)
				}
			}
		}
	}
}

// TestErrorsAreTold wants errors to say the same, and to be told from others, on both sides.
func TestErrorsAreTold(t *testing.T) {
	h := &heard{}
	client := connect(t, h)
	command := &host.CommandError{Path: "/usr/bin/apt-get", Status: "exit status 100", Output: "E: none"}
	for _, sent := range []error{
		errors.New("plain"), fmt.Errorf("x: %w", host.ErrUnsupported), fmt.Errorf("x: %w", host.ErrUnknown), command, fmt.Errorf("solving: %w", command),
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, syscall.ECONNREFUSED,
		&host.SolveError{Summary: "impossible", Lines: []string{"a", "b"}}, &host.ForeignLinkError{Link: "/x", UID: 7},
	} {
		h.answer = []reflect.Value{reflect.ValueOf(host.Solution{}), reflect.ValueOf(&sent).Elem()}
		_, got := client.Solve(host.Transaction{})
		if got == nil || got.Error() != sent.Error() {
			t.Errorf("%v arrives as %v", sent, got)
			continue
		}
		for _, sign := range []error{host.ErrUnsupported, host.ErrUnknown, fs.ErrNotExist, fs.ErrPermission, syscall.ECONNREFUSED, syscall.ELOOP, syscall.ENOENT} {
			if errors.Is(got, sign) != errors.Is(sent, sign) {
				t.Errorf("%v is %v: %v", sent, sign, errors.Is(got, sign))
			}
		}
		var sentSolve, gotSolve *host.SolveError
		var sentCommand, gotCommand *host.CommandError
		if errors.As(sent, &sentSolve) != errors.As(got, &gotSolve) || !cmp.Equal(sentSolve, gotSolve) {
			t.Errorf("%v: %v", sent, gotSolve)
		}
		if errors.As(sent, &sentCommand) != errors.As(got, &gotCommand) || !cmp.Equal(sentCommand, gotCommand) {
			t.Errorf("%v: %v", sent, gotCommand)
		}
	}
}

// slow answers when it is told to leave off.
type slow struct {
	heard
	began func()
}

func (s *slow) Ask(ctx context.Context, _ host.Question) (string, error) {
	s.began()
	<-ctx.Done()
	return "", ctx.Err()
}

// TestLeavesOff wants a question to end where it is given up, or too late.
func TestLeavesOff(t *testing.T) {
	for name, want := range map[string]error{"given up": context.Canceled, "too late": context.DeadlineExceeded} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &slow{began: cancel}
		if name == "too late" {
			ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
			s.began = func() {}
		}
		if _, err := connect(t, s).Ask(ctx, host.Question{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// TestNothingElse wants what is no question to be refused, and its sender to hear that nobody answers.
func TestNothingElse(t *testing.T) {
	err := aside.Serve(t.Context(), &heard{}, strings.NewReader("no question at all"), io.Discard)
	if err == nil {
		t.Error("it was taken")
	}
	client := aside.NewClient(strings.NewReader(""), io.Discard, func() {})
	if _, err := client.Packages(); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
}
