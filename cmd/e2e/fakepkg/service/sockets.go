package service

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
)

// BindTCP binds "ADDRESS:PORT"; the address may be empty or "*". Connections wait until somebody accepts.
func (d *Daemon) BindTCP(address string) error {
	if d.Behaviour.NeverListens {
		return nil
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(address, "*"))
	if err != nil {
		return &bindError{err}
	}
	return d.keep(address, l)
}

// BindSocket binds a unix socket, in place of one that is there. One that root makes becomes its user's.
func (d *Daemon) BindSocket(path string, mode fs.FileMode) error {
	if d.Behaviour.NeverListens {
		return nil
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return &bindError{fmt.Errorf("%s: there is a file that is no socket", path)}
	}
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return &bindError{err}
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	if uid, gid, err := d.Own(); err != nil {
		return err
	} else if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	return d.keep(path, l)
}

func (d *Daemon) keep(at string, l net.Listener) error {
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return err
	}
	l.Close()
	keptFiles = append(keptFiles, file)
	d.bound = append(d.bound, bound{at, int(file.Fd())})
	return nil
}

// keptFiles keeps what was bound from being collected.
var keptFiles []*os.File

// listen takes over what was bound as root.
func (d *Daemon) listen() error {
	for _, b := range d.bound {
		if err := d.listenOn(b); err != nil {
			return err
		}
	}
	d.bound = nil
	return nil
}

func (d *Daemon) listenOn(b bound) error {
	file := os.NewFile(uintptr(b.FD), b.At)
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("%s: %w", b.At, err)
	}
	if d.Listeners == nil {
		d.Listeners = map[string]net.Listener{}
	}
	d.Listeners[b.At] = l
	return nil
}

// Listen binds a socket as the daemon's user.
func (d *Daemon) Listen(path string, mode fs.FileMode) error {
	if err := d.BindSocket(path, mode); err != nil {
		return err
	}
	return d.listen()
}
