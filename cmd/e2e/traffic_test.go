package e2e

import (
	"fmt"
	"maps"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/manifest"
)

const (
	zcpAttachments    = "/var/lib/zarafa/attachments"
	kopanoAttachments = "/var/lib/kopano/attachments"
)

// traffic is mail that comes and goes while attachments are copied ahead: some before the dump, some between the dump
// and the stop of ZCP.
type traffic struct {
	t       *testing.T
	r       *Root
	passing bool // else there is none

	came, went         letter // before the dump
	cameLate, wentLate letter // after it
}

// letter is a mail, and what its attachment says.
type letter struct {
	Mail
	content string
}

// newTraffic delivers the mail that goes later on.
func newTraffic(t *testing.T, r *Root, passing bool) *traffic {
	t.Helper()
	m := &traffic{t: t, r: r, passing: passing}
	if !passing {
		return m
	}
	r.until("ZCP serves", func() bool { return r.Server("/run/zarafad/server.sock").Serves() == nil })
	m.went, m.wentLate = m.deliver("deleted before the dump"), m.deliver("deleted after the dump")
	return m
}

func (m *traffic) deliver(content string) letter {
	m.t.Helper()
	return letter{m.r.Server("/run/zarafad/server.sock").Deliver(content), content}
}

// migrate carries a migration out that rests before the dump, and before the stop of ZCP; it returns the content of the
// database at the dump.
func (m *traffic) migrate(migration Migration) (content string) {
	m.t.Helper()
	cmd := m.r.MigrateCommand(migration)
	cmd.Args = append(cmd.Args, "--until", "dump_database")
	m.rests(m.r.Finish(cmd))
	if !m.r.exists(kopanoAttachments + "/.zcp2kopano-presync/book") {
		m.t.Error("nothing was copied ahead")
	}
	m.came = m.deliver("delivered before the dump")
	m.r.Server("/run/zarafad/server.sock").Delete(m.went.ID)
	content = unnumbered(dumped(m.r))

	m.rests(m.r.Zcp2kopano("resume", "--until", "stop_zarafa"))
	m.cameLate = m.deliver("delivered after the dump")
	m.r.Server("/run/zarafad/server.sock").Delete(m.wentLate.ID)
	m.rests(m.r.Zcp2kopano("resume"))
	return content
}

func (m *traffic) rests(res Result) {
	m.t.Helper()
	if res.Code != exit.Done {
		m.t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
}

// arrived sees every attachment that there was at the stop of ZCP where Kopano has them, by its digest.
func (m *traffic) arrived(before, after *manifest.Manifest) {
	m.t.Helper()
	if !m.passing {
		return
	}
	there := &manifest.Manifest{Files: maps.Clone(before.Files)}
	for _, gone := range []letter{m.went, m.wentLate} {
		delete(there.Files, zcpAttachments+gone.file())
		if m.r.exists(kopanoAttachments + gone.file()) {
			m.t.Errorf("the attachment %q is there again", gone.content)
		}
	}
	sameData(m.t, there, after, zcpAttachments, kopanoAttachments, siteAttachments)
	m.reads(kopanoSocket, m.came, m.cameLate)
}

// returned sees the attachments that the loaded dump knows where ZCP has them, and no others; the states at the beginning
// get them, too.
func (m *traffic) returned(beginnings ...*manifest.Manifest) {
	m.t.Helper()
	if !m.passing {
		return
	}
	m.reads("/run/zarafad/server.sock", m.came, m.wentLate)
	for _, gone := range []letter{m.went, m.cameLate} {
		if m.r.exists(zcpAttachments + gone.file()) {
			m.t.Errorf("the attachment %q is there again", gone.content)
		}
	}
	m.takeFrom(m.r.State(), beginnings...)
}

func (m *traffic) reads(socket string, letters ...letter) {
	m.t.Helper()
	for _, l := range letters {
		if got := m.r.Server(socket).Read(l.ID); got != l.content {
			m.t.Errorf("the attachment %q says %q", l.content, got)
		}
	}
}

// takeFrom has states agree with the real one on the mail, which no simulation knows of.
func (m *traffic) takeFrom(real *manifest.Manifest, states ...*manifest.Manifest) {
	if !m.passing {
		return
	}
	for _, l := range []letter{m.came, m.went, m.cameLate, m.wentLate} {
		for _, dir := range []string{zcpAttachments, kopanoAttachments} {
			for _, state := range states {
				delete(state.Files, dir+l.file())
				if e, is := real.Files[dir+l.file()]; is {
					state.Files[dir+l.file()] = e
				}
			}
		}
	}
}

// file is where a letter's attachment lies below those of a server.
func (l letter) file() string {
	return fmt.Sprintf("/%d/%d/%d.gz", l.Number%10, l.Number/10%20, l.Number)
}
