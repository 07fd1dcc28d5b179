package engine

import (
	"context"
	"fmt"
	"path"
	"strings"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
)

// reach is the host as a runbook reads it: the directory in which runs are kept has secrets of theirs and contents
// from before them, which are nobody's to read. That it is there, and how much space there is, can be asked. Servers
// are asked only where something points to: see connections.
type reach struct {
	host.View
	state []string
	run   *Run
}

func (v reach) judge(name string) error {
	place, err := action.Resolve(v.View, name)
	if err != nil {
		return nil // what cannot be resolved cannot be read either: that says why
	}
	for _, state := range v.state {
		if place == state || strings.HasPrefix(place, state+"/") {
			return fmt.Errorf("no runbook can read %s: the runs are kept at %s", name, state)
		}
	}
	return nil
}

// judgeTree refuses a tree that the state lies in, too: all of it would be read.
func (v reach) judgeTree(name string) error {
	if err := v.judge(name); err != nil {
		return err
	}
	place, err := action.Resolve(v.View, name)
	for _, state := range v.state {
		if err == nil && strings.HasPrefix(state+"/", strings.TrimSuffix(place, "/")+"/") {
			return fmt.Errorf("no runbook can take all of %s: the runs are kept in it, at %s", name, state)
		}
	}
	return nil
}

func (v reach) Open(name string) (host.File, error) {
	if err := v.judge(name); err != nil {
		return nil, err
	}
	v.run.connections.opened(name)
	return v.View.Open(name)
}

func (v reach) ReadDir(name string) ([]host.DirEntry, error) {
	if err := v.judge(name); err != nil {
		return nil, err
	}
	return v.View.ReadDir(name)
}

func (v reach) Readlink(name string) (string, error) {
	if err := v.judge(path.Dir(name)); err != nil {
		return "", err
	}
	return v.View.Readlink(name)
}

func (v reach) Getxattr(name, attr string) ([]byte, error) {
	if err := v.judge(name); err != nil {
		return nil, err
	}
	return v.View.Getxattr(name, attr)
}

func (v reach) OpenTree(name string) (host.DirReader, error) {
	if err := v.judge(name); err != nil {
		return nil, err
	}
	place, err := action.Resolve(v.View, name)
	if err != nil {
		place = name
	}
	d, err := v.View.OpenTree(name)
	if err != nil {
		return nil, err
	}
	return reachDir{d, v, place}, nil
}

// logOf is where a service logs, as far as that can be read; the host's journal is read in any case.
func (v reach) logOf(file string) string {
	if file != "" && v.judge(file) != nil {
		return ""
	}
	return file
}

func (v reach) ServiceTrace(ctx context.Context, name, file string) host.Trace {
	return v.View.ServiceTrace(ctx, name, v.logOf(file))
}

func (v reach) LogEnd(ctx context.Context, name, file string) host.LogMark {
	return v.View.LogEnd(ctx, name, v.logOf(file))
}

func (v reach) LogSince(ctx context.Context, name, file string, from host.LogMark) host.LogPart {
	return v.View.LogSince(ctx, name, v.logOf(file), from)
}

// reachDir is an open directory of it.
type reachDir struct {
	host.DirReader
	v  reach
	at string
}

func (d reachDir) OpenDir(name string) (host.DirReader, error) {
	at := path.Join(d.at, name)
	if err := d.v.judge(at); err != nil {
		return nil, err
	}
	sub, err := d.DirReader.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return reachDir{sub, d.v, at}, nil
}
