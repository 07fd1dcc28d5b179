package action

import (
	"fmt"
	"path"
	"strings"
)

// servicesKeeper keeps how services of the packages that go are: a purge forgets it, and an installation sets it as the package wants it.
type servicesKeeper struct {
	Services []*Service `json:"services,omitempty"`
}

func (k *servicesKeeper) record(_ *Env, _ *Commit, f *found) error {
	for _, was := range f.services {
		s := &Service{Name: was.Name, Active: &was.Active, Enabled: &was.Enabled}
		if was.Kind == "systemd" {
			s.Masked = &was.Masked
		}
		k.Services = append(k.Services, s)
	}
	return nil
}

func (k *servicesKeeper) restore(env *Env, _ *Commit) error {
	for _, s := range k.Services {
		if err := s.bring(env, s.want); err != nil {
			return err
		}
	}
	return nil
}

func (k *servicesKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	var lines []string
	for _, s := range k.Services {
		now, _, err := s.Now(env.Host)
		if err != nil {
			return nil, err
		}
		if was := s.want(now); was != now {
			lines = append(lines, fmt.Sprintf("service %s is %s, was %s", s.Name, stateOf(now), stateOf(was)))
		}
	}
	return lines, nil
}

// serviceOf is the service whose unit file or init script a path is; empty if it is neither.
func serviceOf(name string) string {
	dir, base := path.Split(name)
	switch dir {
	case "/lib/systemd/system/", "/usr/lib/systemd/system/":
		if unit, ok := strings.CutSuffix(base, ".service"); ok && !strings.HasSuffix(unit, "@") {
			return unit
		}
	case "/etc/init.d/", "/etc/rc.d/init.d/":
		return base
	}
	return ""
}
