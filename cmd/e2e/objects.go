package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// ObjectStore is an S3 of the root, at a port of its loopback.
type ObjectStore struct {
	Bucket string
	ID     string // of the access key
	Secret string
}

// Where an object store listens, and keeps its objects: that is no part of a root's state.
const (
	storeAddress = "127.0.0.1:9000"
	storeDir     = "/dev/objects"
)

// StartObjectStore begins an object store. Like a real one it answers nobody who does not know the secret.
func (r *Root) StartObjectStore(s ObjectStore) {
	r.t.Helper()
	cmd := r.insideCommand(question{Objects: &s})
	ready, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	if n, err := ready.Read(make([]byte, 1)); n == 0 {
		r.t.Fatalf("the object store did not start: %v", err)
	}
	go cmd.Wait()
}

// Objects are the names of a bucket's objects, and what is in each.
func (r *Root) Objects(bucket string) map[string]string {
	r.t.Helper()
	top := r.Path(filepath.Join(storeDir, bucket))
	all := map[string]string{}
	err := filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, top+"/")] = string(data)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func (s ObjectStore) serve() error {
	if err := os.MkdirAll(filepath.Join(storeDir, s.Bucket), 0o700); err != nil {
		return err
	}
	l, err := net.Listen("tcp", storeAddress)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var one sync.Mutex
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		if !s.signed(r) {
			http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
			return
		}
		if err := s.answer(w, r); errors.Is(err, fs.ErrNotExist) {
			http.Error(w, "NoSuchKey", http.StatusNotFound)
		} else if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

// signed knows version 2 of the signatures.
func (s ObjectStore) signed(r *http.Request) bool {
	sum := hmac.New(sha1.New, []byte(s.Secret))
	fmt.Fprintf(sum, "%s\n\n\n%s\n%s", r.Method, r.Header.Get("Date"), r.URL.Path)
	want := "AWS " + s.ID + ":" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
	return hmac.Equal([]byte(r.Header.Get("Authorization")), []byte(want))
}

func (s ObjectStore) answer(w http.ResponseWriter, r *http.Request) error {
	key, mine := strings.CutPrefix(r.URL.Path, "/"+s.Bucket+"/")
	if !mine || key == "" {
		return fs.ErrNotExist
	}
	name := filepath.Join(storeDir, s.Bucket, key)
	switch r.Method {
	case http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		return os.WriteFile(name, data, 0o600)
	case http.MethodDelete: // of what is not there, too, as S3 does
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	data, err := os.ReadFile(name)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}
