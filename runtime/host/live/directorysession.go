package live

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// inFlight is how many changes wait for their answers at once on a connection. More gain nothing: the server's disk
// sets the pace.
const inFlight = 32

// relaxRules is the control of draft-zeilenga-ldap-relax as OpenLDAP has it. It is not among those that it lists.
const relaxRules = "1.3.6.1.4.1.4203.666.5.12"

// ldapSession is a session with an LDAP server.
type ldapSession struct {
	server  *ldap.Conn
	address string
}

func (s *ldapSession) Close() error { return s.server.Close() }

// ends breaks the connection when a context ends: the library waits for an answer otherwise.
func (s *ldapSession) ends(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { s.server.Close() })
}

// Search reads page by page (RFC 2696). A server that does not page ignores the control and sends everything at once.
func (s *ldapSession) Search(ctx context.Context, req host.DirectorySearch, page func([]host.Entry) error) error {
	defer s.ends(ctx)()
	if err := req.Check(); err != nil {
		return err
	}
	scope, known := ldapScopes[req.Scope]
	if !known {
		return fmt.Errorf("LDAP search: scope %q is none of base, one, sub", req.Scope)
	}
	search := ldap.NewSearchRequest(req.Base, scope, ldap.NeverDerefAliases, 0, 0, false, req.Filter, req.Attributes, nil)
	paging := ldap.NewControlPaging(ldapPageSize)
	if req.Scope != "base" { // of one entry there are no pages, and not every server likes to be asked for them
		search.Controls = []ldap.Control{paging}
	}
	for number := 1; ; number++ {
		last, err := s.page(search, paging, number, page)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if last || err != nil {
			return err
		}
	}
}

// page reads one page, and hands it on.
func (s *ldapSession) page(search *ldap.SearchRequest, paging *ldap.ControlPaging, number int, page func([]host.Entry) error) (last bool, err error) {
	result, err := s.server.Search(search)
	if err == nil {
		err = completeRanges(s.server, result.Entries)
	}
	if err != nil {
		return false, fmt.Errorf("LDAP server %s, search for %s below %q: %w", s.address, search.Filter, search.BaseDN, directory.Explain(err))
	}
	answer, _ := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
	if answer == nil && number > 1 {
		return false, fmt.Errorf("LDAP server %s: page %d does not say whether it is the last", s.address, number)
	}
	if len(result.Entries) > 0 {
		if err := page(entriesOf(result.Entries)); err != nil {
			return false, err
		}
	}
	if answer == nil || len(answer.Cookie) == 0 {
		return true, nil
	}
	paging.SetCookie(answer.Cookie)
	return false, nil
}

// Change sends changes without waiting for the answer to each.
func (s *ldapSession) Change(ctx context.Context, changes []host.EntryChange) []error {
	defer s.ends(ctx)()
	answers := make([]error, len(changes))
	next := make(chan int)
	var group sync.WaitGroup
	for range min(inFlight, len(changes)) {
		group.Go(func() {
			for i := range next {
				answers[i] = directory.Explain(s.change(changes[i]))
			}
		})
	}
	for i := range changes {
		next <- i
	}
	close(next)
	group.Wait()
	if cause := context.Cause(ctx); cause != nil {
		for i := range answers {
			if answers[i] != nil {
				answers[i] = cause
			}
		}
	}
	return answers
}

func (s *ldapSession) change(c host.EntryChange) error {
	var controls []ldap.Control
	if c.Relax {
		controls = append(controls, ldap.NewControlString(relaxRules, true, ""))
	}
	switch {
	case c.Add != nil:
		request := ldap.NewAddRequest(c.DN, controls)
		for _, name := range slices.Sorted(maps.Keys(c.Add)) {
			request.Attribute(name, c.Add[name])
		}
		return s.server.Add(request)
	case c.Delete:
		return s.server.Del(ldap.NewDelRequest(c.DN, controls))
	}
	request := ldap.NewModifyRequest(c.DN, controls)
	for _, v := range c.Values {
		if v.Delete {
			request.Delete(v.Attribute, v.Values)
		} else {
			request.Add(v.Attribute, v.Values)
		}
	}
	return s.server.Modify(request)
}
