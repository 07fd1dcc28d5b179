package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// Behave has a program of the root ("kopano-server") behave in another way from its next start on: each
// line is "name = value", see service.Behaviour. Without a line it behaves as usual again. Waits change at once: a test
// lets a server upgrade "10m", and ends that when it has seen what it wants to see, however slow the machine is.
func (r *Root) Behave(program string, lines ...string) {
	r.t.Helper()
	file := service.BehaviourDir + "/" + program
	if len(lines) == 0 {
		if err := os.RemoveAll(r.Path(file)); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	r.WriteFile(file, strings.Join(lines, "\n")+"\n", 0o644)
}

// Mail is a mail with an attachment that a server stores.
type Mail struct {
	ID     int64 `json:"mail"`
	Number int64 `json:"number"` // of the attachment
}

// Server is a groupware server of the root, as its clients see it.
type Server struct {
	r      *Root
	client http.Client
}

// Server is the one that serves a socket ("/run/kopano/server.sock").
func (r *Root) Server(socket string) *Server {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.Path(socket))
	}
	return &Server{r, http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Serves tells how the server answers a plain request: an error if it does not.
func (s *Server) Serves() error {
	answer, err := s.client.Get("http://server/")
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Server") != "gSOAP/2.8" {
		return fmt.Errorf("the answer is %s, by %s", answer.Status, answer.Header.Get("Server"))
	}
	return nil
}

// Deliver delivers a mail with an attachment.
func (s *Server) Deliver(content string) Mail {
	s.r.t.Helper()
	var m Mail
	if err := json.Unmarshal([]byte(s.must(http.MethodPost, "", content)), &m); err != nil {
		s.r.t.Fatal(err)
	}
	return m
}

// Read is the content of a mail's attachment, as its reader sees it.
func (s *Server) Read(mail int64) string {
	s.r.t.Helper()
	return s.must(http.MethodGet, fmt.Sprintf("/%d", mail), "")
}

// Delete deletes a mail and its attachment.
func (s *Server) Delete(mail int64) {
	s.r.t.Helper()
	s.must(http.MethodDelete, fmt.Sprintf("/%d", mail), "")
}

func (s *Server) must(method, path, body string) string {
	s.r.t.Helper()
	request, err := http.NewRequest(method, "http://server/bed/mail"+path, strings.NewReader(body))
	if err != nil {
		s.r.t.Fatal(err)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		s.r.t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, answer.Body); err != nil {
		s.r.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		s.r.t.Fatalf("%s mail%s: %s: %s", method, path, answer.Status, text.String())
	}
	return text.String()
}
