package action

import (
	"errors"
	"io/fs"
)

// runtimeUnits is what systemd reads of its own making; what is in it is gone after a reboot.
const runtimeUnits = "/run/systemd/system"

// dropIn is a file that adds to the unit of a service.
type dropIn struct{ name, text string }

var (
	// sparing has systemd send no SIGKILL to a service.
	sparing = dropIn{"zcp2kopano.conf", "[Service]\nSendSIGKILL=no\n"}
	// holding has systemd start a service for nobody; whoever asks is told that it is done. Whoever wonders why finds it in
	// systemctl status, and reads in it what it is.
	holding = dropIn{"zcp2kopano-hold.conf", "# zcp2kopano: packages are coming and going; resume or rollback takes this away " +
		"(by hand: remove this file, then systemctl daemon-reload)\n[Unit]\nConditionPathExists=!/\n"}
)

// add adds it to services, one that an earlier attempt has left, too. Where systemd has not booted there is nothing to add to.
func (d dropIn) add(env *Env, services ...string) error {
	return d.each(env, services, func(dir string) error {
		if err := env.Host.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := removePath(env.Host, dir+"/"+d.name); err != nil {
			return err
		}
		f, err := env.Host.Create(dir+"/"+d.name, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte(d.text))
		return errors.Join(err, f.Close())
	})
}

// take takes it away.
func (d dropIn) take(env *Env, services ...string) error {
	return d.each(env, services, func(dir string) error {
		err := removePath(env.Host, dir+"/"+d.name)
		_ = env.Host.Rmdir(dir) // there may be others in it
		return err
	})
}

// each does it for all services, also where it fails for one, and has systemd read what it finds.
func (d dropIn) each(env *Env, services []string, do func(dir string) error) error {
	if _, err := env.Host.Lstat(runtimeUnits); err != nil || len(services) == 0 {
		return nil
	}
	var errs []error
	for _, name := range services {
		errs = append(errs, do(runtimeUnits+"/"+name+".service.d"))
	}
	return errors.Join(append(errs, env.Host.ReloadServices())...)
}
