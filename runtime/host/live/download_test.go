package live

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func TestDownload(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "srv/key.asc", "a key")
	write(t, dir, "srv/large", strings.Repeat("x", downloadLimit+1))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "s3cr3t!" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write([]byte("a key"))
	}))
	defer server.Close()
	password := host.NewSecret("s3cr3t!")
	for _, address := range []string{"file:///srv/key.asc", server.URL + "/key.asc"} {
		data, err := h.Download(t.Context(), address, "me", password)
		if err != nil || string(data) != "a key" {
			t.Errorf("%s: %q %v", address, data, err)
		}
	}
	for address, want := range map[string]string{
		"file:///srv/none":   "no such file",
		"file:///srv/large":  "larger than",
		"ftp://x/y":          "scheme",
		"http://127.0.0.1:9": "refused",
		server.URL:           "401",
	} {
		user := "me"
		if address == server.URL {
			user = "other"
		}
		_, err := h.Download(t.Context(), address, user, password)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
