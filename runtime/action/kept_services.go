package action

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// KeptServices are services by name, as a run has left them last.
type KeptServices map[string]KeptService

// KeptService is a service that a run has started or stopped, or that is not to run before the run starts it.
type KeptService struct {
	Running bool
	Early   bool   // the run has not come to its start
	Set     Action // brings the service there again
	Env     *Env   // of the action that decided it

	service *Service
}

// KeepServices implements ServiceKeeper. A service that this was caught half-way with is left to it.
func (a *Service) KeepServices(env *Env, done bool, kept KeptServices) error {
	if a.Active == nil {
		return nil
	}
	delete(kept, a.Name)
	if done {
		if a.LogFrom != nil {
			env.noteLog(a.Name, *a.LogFrom)
		}
		kept.set(env, &Service{Name: a.Name, Active: a.Active, Patience: a.Patience, Works: a.Works, Lenient: a.Lenient, Before: a.Before}, false)
	}
	return nil
}

// KeepServices implements ServiceKeeper. A service whose package came or went is left to that package's scripts; but
// what came while packages were kept from starting their services is not to run before the run starts it.
func (a *Commit) KeepServices(env *Env, done bool, kept KeptServices) error {
	for _, s := range a.Services {
		if k, ok := kept[s.Name]; ok && (done || k.Running) {
			delete(kept, s.Name)
		}
	}
	held, err := a.held(env)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Summary(), err)
	}
	for _, name := range held {
		kept.set(env, &Service{Name: name, Active: new(false)}, true)
	}
	return nil
}

func (s KeptServices) set(env *Env, to *Service, early bool) {
	s[to.Name] = KeptService{Running: *to.Active, Early: early, Set: to, Env: env, service: to}
}

// Astray reports whether a service is not as it was left, and what it is. A masked one that does not run is nothing that
// could be set.
func (k KeptService) Astray() (now host.Service, astray bool, err error) {
	now, there, err := k.service.Now(k.Env.Host)
	if err != nil {
		return now, false, err
	}
	return now, there && now.Active != k.Running && (now.Active || !now.Masked), nil
}

// held lists the services of the packages that came new while no package was to start its services: they
// are enabled by then, and a machine that starts again starts them all the same.
func (a *Commit) held(env *Env) ([]string, error) {
	if a.Policy.Blob == nil || *a.Policy.Blob != blobOf([]byte(PolicyText)) {
		return nil, nil
	}
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	services := map[string]bool{}
	for _, name := range a.New {
		if p := have[bareName(name)]; !p.Installed() && p.Status != "half-configured" {
			continue // no script has enabled anything yet
		}
		files, err := env.Host.PackageFiles(name)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if service := serviceOf(path.Clean(f)); service != "" {
				services[service] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(services)), nil
}
