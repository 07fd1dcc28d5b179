package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// answer serves requests on all sockets. As a real server it has no answer to GET, which is how one sees
// that it is there. Below /bed/ are commands of the stand-in's own, for tests:
//
//	POST   /bed/mail      delivers a mail with the body as its attachment: {"mail": ID, "number": N}
//	GET    /bed/mail/ID   is the attachment's content, as its reader sees it
//	DELETE /bed/mail/ID   deletes the mail, and its attachment
func (s *server) answer(d *service.Daemon) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handle(d, w, r) })
	for at, listener := range d.Listeners {
		if config := s.tls[at]; config != nil {
			listener = tls.NewListener(listener, config)
		}
		go (&http.Server{Handler: handler}).Serve(listener)
	}
}

func (s *server) handle(d *service.Daemon, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "gSOAP/2.8")
	rest, own := strings.CutPrefix(r.URL.Path, "/bed/mail")
	switch {
	case own:
		s.mail(d, w, r, strings.TrimPrefix(rest, "/"))
	case r.Method == http.MethodHead && d.Product == "zarafa":
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *server) mail(d *service.Daemon, w http.ResponseWriter, r *http.Request, which string) {
	id, _ := strconv.ParseInt(which, 10, 64)
	var err error
	switch r.Method {
	case http.MethodPost:
		var content []byte
		if content, err = io.ReadAll(r.Body); err == nil {
			err = s.deliver(d, w, content)
		}
	case http.MethodDelete:
		err = s.remove(d, id)
	default:
		var content []byte
		if content, err = s.read(d, id); err == nil {
			w.Write(content)
		}
	}
	if err != nil {
		d.Logf(service.Error, "mail %s: %v", which, err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// Types of rows in hierarchy, and the tag of an attachment's content.
const (
	mailType, attachmentType = 5, 7
	contentTag               = 0x3701
)

// deliver notes a mail and its attachment in the database, which numbers them, and stores the attachment.
func (s *server) deliver(d *service.Daemon, w io.Writer, content []byte) error {
	mail, err := s.insert("INSERT INTO hierarchy (parent, type, flags, owner) VALUES (1, ?, 0, 1)", mailType)
	if err != nil {
		return err
	}
	part, err := s.insert("INSERT INTO hierarchy (parent, type, flags, owner) VALUES (?, ?, 0, 1)", mail, attachmentType)
	if err != nil {
		return err
	}
	number, err := s.insert("INSERT INTO singleinstances (hierarchyid, tag) VALUES (?, ?)", part, contentTag)
	if err != nil {
		return err
	}
	if err := storageOf(d, s.db).write(number, content); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]int64{"mail": mail, "number": number})
}

func (s *server) insert(statement string, args ...any) (int64, error) {
	result, err := s.db.Exec(statement, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// number is the number of a mail's attachment.
func (s *server) number(mail int64) (number, part int64, err error) {
	err = s.db.QueryRow("SELECT instanceid, hierarchyid FROM singleinstances JOIN hierarchy ON hierarchyid = id WHERE parent = ? AND type = ?",
		mail, attachmentType).Scan(&number, &part)
	if err != nil {
		err = fmt.Errorf("attachment of mail %d: %w", mail, err)
	}
	return number, part, err
}

func (s *server) read(d *service.Daemon, mail int64) ([]byte, error) {
	number, _, err := s.number(mail)
	if err != nil {
		return nil, err
	}
	return storageOf(d, s.db).read(number)
}

func (s *server) remove(d *service.Daemon, mail int64) error {
	number, part, err := s.number(mail)
	if err != nil {
		return err
	}
	if _, err := s.db.Exec("DELETE FROM singleinstances WHERE instanceid = ?", number); err != nil {
		return err
	}
	if _, err := s.db.Exec("DELETE FROM hierarchy WHERE id IN (?, ?)", mail, part); err != nil {
		return err
	}
	return storageOf(d, s.db).remove(number)
}
