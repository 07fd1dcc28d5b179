package state

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/journal"
)

// Forget destroys a closed run's secrets and backups, for good; what was done and told stays. That it was begun is noted
// first: one that is cut short is never taken for a run that can be undone, and can be brought to its end. The caller
// holds the lock.
func (r Run) Forget(now time.Time) error {
	order, err := r.Order()
	if err != nil {
		return err
	}
	if order.Forgotten == nil {
		order.Forgotten, order.Secrets = &now, nil
		if err := r.keepOrder(order); err != nil {
			return fmt.Errorf("run %s: %w", r.ID, err)
		}
	}
	err = errors.Join(
		r.hideDigests(),
		overwrite(filepath.Join(r.Path, "secrets")),
		os.RemoveAll(filepath.Join(r.Path, "secrets")),
		os.RemoveAll(r.Backup()),
		syncDir(r.Path),
	)
	if err != nil {
		return fmt.Errorf("run %s: %w", r.ID, err)
	}
	return nil
}

// A short content, such as a password in a file of its own, can be guessed at by its digest.
var contentDigest = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// hideDigests puts others in the place of the digests of contents, in what stays of the run: made with a key that is not
// kept, so that the same content has the same one, and none can be guessed at.
func (r Run) hideDigests() error {
	hide := Hider()
	for path, change := range map[string]func([]byte) []byte{
		r.Journal():  func(data []byte) []byte { return journal.Rewritten(data, hide) },
		r.Events():   hide,
		r.planPath(): withoutCalls,
	} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		changed := change(data)
		if bytes.Equal(changed, data) {
			continue
		}
		if err := replaceWhole(path, changed); err != nil {
			return err
		}
	}
	return nil
}

// Hider puts digests of its own, of the same length, in the place of those of contents.
func Hider() func([]byte) []byte {
	key := []byte(rand.Text())
	return func(data []byte) []byte {
		return contentDigest.ReplaceAllFunc(data, func(plain []byte) []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write(plain)
			return hex.AppendEncode(nil, mac.Sum(nil))
		})
	}
}

// withoutCalls leaves of a plan what tells it from others.
func withoutCalls(data []byte) []byte {
	plan := &engine.Plan{}
	if json.Unmarshal(data, plan) != nil {
		return nil
	}
	plan.Calls, plan.Secrets = nil, nil
	short, err := json.Marshal(plan)
	if err != nil {
		return nil
	}
	return short
}

// replaceWhole puts a new file in the place of an old one, and zeros in the old one's content, in this order: cut short,
// one of both is there whole.
func replaceWhole(path string, data []byte) error {
	old, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := writeFile(path, data); err != nil {
		return err
	}
	return zero(old)
}

// overwrite puts zeros in the place of a file's content, where the file system has it still.
func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return zero(f)
}

func zero(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, info.Size()))
	return errors.Join(err, f.Sync())
}
