package manifest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"zcp2kopano/runtime/host"
)

// Difference is one thing that two states do not agree on. A side that lacks it is empty.
type Difference struct {
	Path   string `json:"path"` // or "package NAME", "service NAME"
	Aspect string `json:"aspect"`
	Left   string `json:"left"`
	Right  string `json:"right"`
	// Excuse is why the difference could not be predicted; empty if it should not be.
	Excuse string `json:"excuse,omitempty"`
}

// Compare lists the differences in order of path. A difference that an entry of unpredicted speaks of
// carries its reason, as does content of equal size that one host does not hold.
func Compare(left, right *Manifest, unpredicted []host.Unpredicted) []Difference {
	var diffs []Difference
	for _, name := range keys(left.Files, right.Files) {
		l, inLeft := left.Files[name]
		r, inRight := right.Files[name]
		if !inLeft || !inRight {
			diffs = append(diffs, Difference{Path: name, Aspect: "existence", Left: l.Type, Right: r.Type})
			continue
		}
		diffs = append(diffs, compareEntries(name, l, r)...)
	}
	diffs = append(diffs, compareStates("package ", left.Packages, right.Packages)...)
	diffs = append(diffs, compareStates("service ", left.Services, right.Services)...)
	for i := range diffs {
		diffs[i].Excuse = excuse(diffs[i], unpredicted)
		l, r := left.Files[diffs[i].Path], right.Files[diffs[i].Path]
		if diffs[i].Aspect == "content" && l.Size == r.Size && (l.Digest == Unknown || r.Digest == Unknown) {
			diffs[i].Excuse = or(diffs[i].Excuse, "a fixture knows this file by its size only")
		}
	}
	return diffs
}

// Unexcused keeps the differences that have no excuse.
func Unexcused(diffs []Difference) []Difference {
	return slices.DeleteFunc(slices.Clone(diffs), func(d Difference) bool { return d.Excuse != "" })
}

func keys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func compareEntries(name string, l, r Entry) []Difference {
	var diffs []Difference
	differ := func(aspect, left, right string) {
		if left != right {
			diffs = append(diffs, Difference{Path: name, Aspect: aspect, Left: left, Right: right})
		}
	}
	differ("type", l.Type, r.Type)
	differ("mode", l.Mode, r.Mode)
	differ("owner", l.Owner+":"+l.Group, r.Owner+":"+r.Group)
	differ("target", l.Target, r.Target)
	differ("content", l.content(), r.content())
	differ("links", fmt.Sprint(l.Links), fmt.Sprint(r.Links))
	differ("device", fmt.Sprint(l.Device), fmt.Sprint(r.Device))
	differ("xattrs", fmt.Sprint(l.Xattrs), fmt.Sprint(r.Xattrs))
	differ("mtime", l.Mtime, r.Mtime)
	return diffs
}

func (e Entry) content() string {
	if e.Type != "file" {
		return ""
	}
	return fmt.Sprintf("%d bytes, digest %.12s", e.Size, e.Digest)
}

func compareStates(kind string, left, right map[string]string) []Difference {
	var diffs []Difference
	for _, name := range keys(left, right) {
		if left[name] != right[name] {
			diffs = append(diffs, Difference{Path: kind + name, Aspect: "state", Left: left[name], Right: right[name]})
		}
	}
	return diffs
}

func excuse(d Difference, unpredicted []host.Unpredicted) string {
	for _, u := range unpredicted {
		if u.Path != "" && (u.Aspect == "" || u.Aspect == d.Aspect) && covers(u.Path, d.Path) {
			return u.What + ": " + u.Why
		}
	}
	return ""
}

// covers reports whether a pattern means a path, or a directory that the path is in.
func covers(pattern, name string) bool {
	for ; strings.HasPrefix(name, "/"); name = path.Dir(name) {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
		if name == "/" {
			return false
		}
	}
	return false
}

// Table prints differences for people, one a line under a heading.
func Table(diffs []Difference, left, right string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "path\taspect\t%s\t%s\texcused by\n", left, right)
	for _, d := range diffs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.Path, d.Aspect, or(d.Left, "-"), or(d.Right, "-"), d.Excuse)
	}
	w.Flush()
	return b.String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
