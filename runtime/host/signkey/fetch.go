package signkey

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
)

// Fetch returns the repository's key without armour, nil if it has none.
func Fetch(ctx context.Context, h host.RepositoryHost, r host.Repository) ([]byte, error) {
	var data []byte
	var err error
	switch {
	case r.Key == "":
		return nil, nil
	case strings.HasPrefix(strings.TrimSpace(r.Key), armourBegin):
		data = []byte(r.Key)
	case path.IsAbs(r.Key):
		data, err = host.ReadSmall(h, r.Key)
	case !private(r.Key):
		return nil, fmt.Errorf("the key at %s would come by a connection that anybody can change: get it another way, compare its fingerprint, and give its file", r.Key)
	case sameHost(r.Key, r.URL):
		data, err = h.Download(ctx, r.Key, r.User, r.Password)
	default: // a password is for the host that it was given for
		data, err = h.Download(ctx, r.Key, "", host.Secret{})
	}
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	key, err := dearmour(data)
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	return key, nil
}

// private reports whether nobody on the way can change what an address gives.
func private(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return true // one that cannot be read is refused by who fetches it
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func sameHost(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Scheme == y.Scheme && x.Host == y.Host
}
