package booktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/script"
)

// fileText is the content of a file of a host; None if there is no file.
func fileText(c *script.Call) (starlark.Value, error) {
	h, err := hostOf(c)
	if err != nil {
		return nil, err
	}
	f, err := h.Open(c.String("path"))
	if errors.Is(err, fs.ErrNotExist) {
		return starlark.None, nil
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	defer f.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, io.LimitReader(f, 16<<20)); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return starlark.String(text.String()), nil
}

// fileState is what a path of a host is; None if there is nothing.
func fileState(c *script.Call) (starlark.Value, error) {
	h, err := hostOf(c)
	if err != nil {
		return nil, err
	}
	name := c.String("path")
	st, err := h.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return starlark.None, nil
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	fields := map[string]any{"type": manifest.TypeName(st.Mode), "mode": fmt.Sprintf("%04o", host.PermBits(st.Mode)), "size": st.Size, "target": ""}
	if st.Mode&fs.ModeSymlink != 0 {
		if fields["target"], err = h.Readlink(name); err != nil {
			return nil, c.Errorf("%w", err)
		}
	}
	fields["owner"], fields["group"] = fmt.Sprint(st.UID), fmt.Sprint(st.GID)
	if u, err := h.UserID(st.UID); err == nil {
		fields["owner"] = u.Name
	}
	if g, err := h.GroupID(st.GID); err == nil {
		fields["group"] = g.Name
	}
	return script.NewRecord(fields), nil
}

// packages are those of a host: name to version.
func packages(c *script.Call) (starlark.Value, error) {
	h, err := hostOf(c)
	if err != nil {
		return nil, err
	}
	list, err := h.Packages()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	versions := map[string]string{}
	for _, p := range list {
		versions[p.Name] = p.Version
	}
	return script.ToStarlark(versions), nil
}

// services are those of a host: name to "active enabled" and the like.
func services(c *script.Call) (starlark.Value, error) {
	h, err := hostOf(c)
	if err != nil {
		return nil, err
	}
	list, err := h.Services("*")
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	states := map[string]string{}
	for _, s := range list {
		var words []string
		for _, w := range []struct {
			is   bool
			word string
		}{{s.Active, "active"}, {s.Enabled, "enabled"}, {s.Masked, "masked"}} {
			if w.is {
				words = append(words, w.word)
			}
		}
		states[s.Name] = strings.Join(words, " ")
	}
	return script.ToStarlark(states), nil
}

// entries are those of a host's directory: DN to attributes.
func entries(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	h, err := hostOf(c)
	if err != nil {
		return nil, err
	}
	conn := host.DirectoryConn{URLs: []string{"ldap://localhost"}}
	search := host.DirectorySearch{Base: c.String("base"), Scope: "sub", Filter: c.StringOr("filter", "(objectClass=*)"), Attributes: []string{"*"}}
	found, err := h.SearchDirectory(t.ctx, conn, search)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	all := map[string]any{}
	for _, e := range found {
		attributes := map[string]any{}
		for name, values := range e.Attributes {
			attributes[name] = values
		}
		all[e.DN] = attributes
	}
	return script.ToStarlark(all), nil
}
