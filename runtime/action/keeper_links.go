package action

import (
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// linksKeeper keeps the runlevel links of the services' init scripts.
type linksKeeper struct {
	Links []Preimage `json:"links,omitempty"`
}

func (k *linksKeeper) record(env *Env, _ *Commit, f *found) error {
	for _, s := range f.services {
		links, err := runlevelLinks(env.Host, s.Name)
		if err != nil {
			return err
		}
		for _, link := range links {
			p, err := env.Store.Save(link)
			if err != nil {
				return err
			}
			k.Links = append(k.Links, p)
		}
	}
	return nil
}

// restore removes links that came: the tools that enable a service leave links alone that are there in part, and
// give new numbers to those that they make.
func (k *linksKeeper) restore(env *Env, a *Commit) error {
	for _, s := range a.Services {
		links, err := runlevelLinks(env.Host, s.Name)
		if err != nil {
			return err
		}
		for _, link := range links {
			if slices.ContainsFunc(k.Links, func(p Preimage) bool { return p.Path == link }) {
				continue
			}
			if err := removePath(env.Host, link); err != nil {
				return err
			}
		}
	}
	return restoreAll(env, k.Links)
}

func (k *linksKeeper) compare(env *Env, _ *Commit) ([]string, error) { return compareAll(env, k.Links) }

// runlevelLinks are the links that start and stop an init script.
func runlevelLinks(v host.FileReader, name string) ([]string, error) {
	var links []string
	for _, level := range []string{"S", "0", "1", "2", "3", "4", "5", "6"} {
		dir := "/etc/rc" + level + ".d"
		list, err := v.ReadDir(dir)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range list { // S20NAME or K80NAME
			if len(e.Name) > 3 && e.Name[3:] == name && strings.ContainsRune("SK", rune(e.Name[0])) {
				links = append(links, path.Join(dir, e.Name))
			}
		}
	}
	return links, nil
}
