package cfg_test

import (
	"testing"

	"zcp2kopano/builtins/cfg"
	"zcp2kopano/builtins/internal/builtintest"
)

const others = `
-- host --
hostname: mail.example.org
-- /etc/os-release --
ID=debian
-- /etc/postfix/main.cf --
virtual_transport =
  lmtp:127.0.0.1:2003
-- /etc/zarafa/ldap.cfg --
ldap_host = localhost
!propmap /etc/zarafa/none.propmap.cfg
-- /etc/zarafa/right.cfg --
!propmap /etc/zarafa/ldap.cfg
`

// TestOtherSyntax: a file of another program is not edited as if it were ZCP's.
func TestOtherSyntax(t *testing.T) {
	s := builtintest.New(t, others, cfg.Builtins())
	s.Fail(`cfg.set("/etc/postfix/main.cf", {"virtual_transport": "x"})`, "/etc/postfix/main.cf is no configuration file of Zarafa or Kopano", "postfix.set")
	s.Fail(`cfg.rename("/etc/postfix/main.cf", "virtual_transport", "x")`, "/etc/postfix/main.cf is no configuration file of Zarafa or Kopano", "postfix.set")
	s.Fail(`cfg.drop("/etc/postfix/main.cf", ["virtual_transport"], "why")`, "/etc/postfix/main.cf is no configuration file of Zarafa or Kopano", "postfix.set")
	s.Succeed(`cfg.set("/etc/zarafa/right.cfg", {"a": "x"})`)
}

// TestPropmapThatIsNotThere: the daemon would not start.
func TestPropmapThatIsNotThere(t *testing.T) {
	s := builtintest.New(t, others, cfg.Builtins())
	printed := s.Succeed(`
for p in cfg.problems("/etc/zarafa/ldap.cfg") + cfg.problems("/etc/zarafa/right.cfg"):
    print(p.message, p.fatal)`)
	const want = "/etc/zarafa/ldap.cfg:2: !propmap: /etc/zarafa/none.propmap.cfg does not exist; check the path: stat /etc/zarafa/none.propmap.cfg: no such file or directory True"
	if len(printed) != 1 || printed[0] != want {
		t.Errorf("%q, want %q", printed, want)
	}
}
