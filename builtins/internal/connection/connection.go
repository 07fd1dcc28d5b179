// Package connection reads what mysql.connection returns: a connection to a database, as runbooks hand it to
// builtins.
package connection

import (
	"errors"
	"fmt"
	"strconv"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Text is a string, a number or a secret as a secret.
func Text(v starlark.Value) (host.Secret, error) {
	switch v := v.(type) {
	case starlark.String:
		return host.NewSecret(string(v)), nil
	case starlark.Int:
		return host.NewSecret(v.String()), nil
	case script.SecretValue:
		return v.Secret, nil
	}
	return host.Secret{}, fmt.Errorf("got %s, want a string", v.Type())
}

// Of reads the record that mysql.connection made.
func Of(v starlark.Value) (host.DatabaseConn, error) {
	rec, ok := v.(*starlarkstruct.Struct)
	if !ok {
		return bad(fmt.Errorf("got %s", v.Type()))
	}
	fields := map[string]host.Secret{}
	for _, name := range []string{"host", "port", "socket", "user", "password", "database"} {
		v, err := rec.Attr(name)
		if err != nil {
			return bad(err)
		}
		if fields[name], err = Text(v); err != nil {
			return bad(fmt.Errorf("%s: %w", name, err))
		}
	}
	port, err := strconv.Atoi(fields["port"].Reveal())
	if err != nil {
		return bad(errors.New("its port is no number"))
	}
	return host.DatabaseConn{
		Host: fields["host"].Reveal(), Port: port, Socket: fields["socket"].Reveal(), User: fields["user"].Reveal(),
		Password: fields["password"], Database: fields["database"].Reveal(),
	}, nil
}

func bad(err error) (host.DatabaseConn, error) {
	return host.DatabaseConn{}, fmt.Errorf("%w; pass what mysql.connection returns", err)
}
