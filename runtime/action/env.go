package action

import (
	"context"
	"encoding/json"

	"zcp2kopano/runtime/host"
)

// Env is what an action works with.
type Env struct {
	Ctx     context.Context
	Host    host.Host
	Store   *Store
	Secrets Secrets
	// Tag is unique for this action in all runs on this host: for temporary names.
	Tag string
	// Hide masks the run's secrets in text that others wrote; nil hides nothing.
	Hide func(text string) string
	// Progress reports a long action's advance; never nil.
	Progress func(Progress)
	// Limit waits until so many bytes more may be moved; nil does not.
	Limit func(ctx context.Context, bytes int) error
	// Mark journals how far the action is, durably. Marks holds those of an earlier, interrupted
	// Apply of the same action, in order.
	Mark  func(v any) error
	Marks []json.RawMessage
	// Stop is closed when the admin asks the run to stop: a wait that can be gone on with later ends then.
	Stop <-chan struct{}
	// Trust refuses what root is to execute, if somebody else could exchange it; nil refuses nothing.
	Trust func(name string) error
	// TrustAlone is Trust of a file by itself, whose content is known besides.
	TrustAlone func(name string) error
	// Guards are the services that are not to be disturbed.
	Guards []Guard
	// Kill allows to end a guarded service that must not be disturbed.
	Kill bool

	// Logs is where the log of each service ended when this run started it, or last saw it work; nil forgets.
	Logs map[string]host.LogMark

	// Upgraded is true while a database is changed for good by the run, and its dump not loaded.
	Upgraded bool
	// Restored is set when a rollback has loaded the dump of a database that the run had changed for good.
	Restored *Restored
	// Data lists the directories that the run made others keep data in, which is no package's to remove.
	Data []string
	// Arrived are, in a rollback, the packages that came before this action, and will be taken away behind it, each with what
	// it had below /etc and /var. What is gone of them is as it will be.
	Arrived map[string][]string
	// InPlace lists the directories that others keep data in by themselves.
	InPlace []string
}

// Restored is what a database holds again.
type Restored struct {
	// Highest is, by table, the highest number that it has given to a row; a table that is not known is
	// not in it.
	Highest map[string]uint64
	// Unlisted is, by table, the numbers of rows that are higher than those of the files of its tree when that was
	// first listed: these files came later, and were there when the dump was made.
	Unlisted map[string][]uint64
}

// stopped reports whether the admin has asked the run to stop.
func (env *Env) stopped() bool {
	select {
	case <-env.Stop:
		return true
	default:
		return false
	}
}

func (env *Env) trusts(name string) error {
	if env.Trust == nil {
		return nil
	}
	return env.Trust(name)
}

// limit waits with each write until that may be done.
type limit struct{ env *Env }

func (l limit) Write(p []byte) (int, error) {
	if l.env.Limit == nil {
		return len(p), nil
	}
	return len(p), l.env.Limit(l.env.Ctx, len(p))
}

func (env *Env) mask(text string) string {
	if env.Hide == nil {
		return text
	}
	return env.Hide(text)
}

// Secrets keeps secrets outside the journal, in a file of mode 0600.
type Secrets interface {
	Put(s host.Secret) (ref string, err error)
	Get(ref string) (host.Secret, error)
}
