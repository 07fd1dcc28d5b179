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
// The next page comes while one is worked on.
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
	if req.Scope != "base" { // of one entry there are no pages, and not every server likes to be asked for them
		search.Controls = []ldap.Control{ldap.NewControlPaging(ldapPageSize)}
	}
	next := s.ask(search, 1)
	for number := 2; ; number++ {
		answer := <-next
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if answer.err != nil {
			return answer.err
		}
		if !answer.last {
			next = s.ask(search, number)
		}
		if len(answer.entries) > 0 {
			if err := page(answer.entries); err != nil {
				return err
			}
		}
		if answer.last {
			return context.Cause(ctx)
		}
	}
}

// answered is a page, or why it did not come.
type answered struct {
	entries []host.Entry
	last    bool
	err     error
}

// ask asks for a page, and then has the search ask for the one behind it. What nobody waits for ends with the session.
func (s *ldapSession) ask(search *ldap.SearchRequest, number int) <-chan answered {
	answer := make(chan answered, 1)
	go func() { answer <- s.page(search, number) }()
	return answer
}

func (s *ldapSession) page(search *ldap.SearchRequest, number int) answered {
	result, err := s.server.Search(search)
	if err == nil {
		err = completeRanges(s.server, result.Entries)
	}
	if err != nil {
		return answered{err: fmt.Errorf("LDAP server %s, search for %s below %q: %w", s.address, search.Filter, search.BaseDN, directory.Explain(err))}
	}
	answer, _ := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
	if answer == nil && number > 1 {
		return answered{err: fmt.Errorf("LDAP server %s: page %d does not say whether it is the last", s.address, number)}
	}
	last := answer == nil || len(answer.Cookie) == 0
	if !last {
		search.Controls[0].(*ldap.ControlPaging).SetCookie(answer.Cookie)
	}
	return answered{entries: entriesOf(result.Entries), last: last}
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
