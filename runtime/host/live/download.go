package live

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"zcp2kopano/runtime/host"
)

// downloads fetches small files.
type downloads struct{ files *space }

const downloadLimit = 1 << 20

// Download fetches a small file. User and password go into a header, never into the URL, and are not
// sent on to another host by a redirect.
func (v downloads) Download(ctx context.Context, address, user string, password host.Secret) ([]byte, error) {
	return v.downloadUpTo(ctx, downloadLimit, address, user, password)
}

func (v downloads) downloadUpTo(ctx context.Context, limit int64, address, user string, password host.Secret) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	var body io.ReadCloser
	switch u.Scheme {
	case "file":
		body, err = v.files.Open(u.Path)
	case "http", "https":
		body, err = fetch(ctx, u, user, password)
	default:
		err = fmt.Errorf("scheme %q is none of http, https, file", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("download of %s: %w", u.Redacted(), err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("download of %s: %w", u.Redacted(), err)
	}
	return data, nil
}

func fetch(ctx context.Context, u *url.URL, user string, password host.Secret) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if user != "" {
		request.SetBasicAuth(user, password.Reveal())
	}
	client := http.Client{Timeout: 2 * time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("the server answers %s; check user name and password", response.Status)
	}
	return nil, fmt.Errorf("the server answers %s", response.Status)
}
