package builtins_test

import (
	"fmt"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"zcp2kopano/builtins"
	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

const planted = "pl4nted-s%cret"

// secretHost has a secret, as cfg.read finds one, and a place to write.
const secretHost = `
-- host --
hostname: example.org
init: systemd
-- mounts --
/ /dev/sda1 ext4 60G 38G
-- passwd --
zarafa:x:109:115::/var/lib/zarafa:/bin/false
-- group --
zarafa:x:115:
-- /etc/zarafa/server.cfg 0640 root:zarafa --
mysql_user = zarafa
mysql_password = ` + planted + `
mysql_database = zarafa
-- /srv/x/old 0644 --
old
`

// TestTextWithSecret has all ways to put a secret into a text: what is written is the secret and not what stands
// for it, and nobody sees it.
func TestTextWithSecret(t *testing.T) {
	for expr, want := range map[string]string{
		`pw`:                                 "S",
		`"password = " + pw`:                 "password = S",
		`pw + "\n"`:                          "S\n",
		`"a " + pw + " b"`:                   "a S b",
		`pw + pw`:                            "SS",
		`secret.text("password = %s\n", pw)`: "password = S\n",
		`secret.text("%s %s 100%%", ["root", pw])`:   "root S 100%",
		`secret.text("%s", secret.text("<%s>", pw))`: "<S>",
		`"password = %s" % pw`:                       "password = S",
		`"%s and %s" % (pw, pw)`:                     "S and S",
		`"%(a)s" % {"a": pw}`:                        "S",
		`"password = %r" % pw`:                       "password = S",
		`"password = {}".format(pw)`:                 "password = S",
		`"password = {p}".format(p = pw)`:            "password = S",
		`str(pw)`:                                    "S",
		`repr(pw)`:                                   "S",
		`",".join(["a", str(pw), "b"])`:              "a,S,b",
		`"x" + str(pw) + "y"`:                        "xSy",
		`str(pw).upper()`:                            "S",
		`("x " + str(pw)).title()`:                   "X S",
		`(" %s " % pw).strip()`:                      "S",
		`("a=%s;b" % pw).split(";")[0]`:              "a=S",
		`("A" + str(pw)).replace("A", "B")`:          "BS",
		`str([pw])`:                                  "[S]",
		`str({"a": pw})`:                             `{"a": S}`,
		`repr(str(pw))`:                              `"S"`,
		`str(("%s" % pw,))`:                          `("S",)`,
		`secret.text("%s", str(pw))`:                 "S",
		`("%s" % pw) + pw`:                           "SS",
		`pw + str(pw)`:                               "SS",
		`json.decode(json.encode("x")) + str(pw)`:    "xS",
		`"".join([c for c in str(pw).codepoints()])`: "S",
	} {
		t.Run(expr, func(t *testing.T) {
			s := builtintest.New(t, secretHost, builtins.All())
			r := s.Run(`
pw = cfg.get("/etc/zarafa/server.cfg", "mysql_password")
text = ` + expr + `
fs.write("/srv/x/new", text)
print(text)
print("<%s>" % text)
`)
			if r.Verdict.Code != exit.Done {
				t.Fatal(r.Verdict.Text)
			}
			if got, want := s.Text("/srv/x/new"), strings.ReplaceAll(want, "S", planted); got != want {
				t.Errorf("wrote %q, want %q", got, want)
			}
			shown := strings.ReplaceAll(want, "S", "***")
			if r.Printed[0] != shown && r.Printed[0] != "***" || !strings.Contains(r.Printed[1], "***") {
				t.Errorf("printed %q, want %q", r.Printed, shown)
			}
			if all := strings.Join(r.Printed, "") + string(r.Journal) + r.Verdict.Text; strings.Contains(all, planted) {
				t.Error("the secret shows")
			}
			if st, err := s.Host.Lstat("/srv/x/new"); err != nil || st.Perm() != 0o600 {
				t.Errorf("a new file with a secret has mode %v (%v)", st.Perm(), err)
			}
		})
	}
}

// TestPlacesForSecrets has builtins that take secrets within other values.
func TestPlacesForSecrets(t *testing.T) {
	for _, value := range []string{`pw`, `str(pw)`, `"%s" % pw`, `secret.text("%s", pw)`} {
		s := builtintest.New(t, secretHost, builtins.All())
		printed := s.Succeed(`
pw = cfg.get("/etc/zarafa/server.cfg", "mysql_password")
cfg.set("/etc/zarafa/server.cfg", {"mysql_password": ` + value + ` + "", "mysql_user": ` + value + `})
db = mysql.connection({"mysql_user": ` + value + `, "mysql_host": ` + value + `, "mysql_password": ` + value + `})
print(db.user, db.host, db.password, type(db.user), type(db.host))
d = ldap.connection(["ldap://localhost"], password = ` + value + `)
print(d.password)
`)
		if printed[0] != "*** *** *** secret secret" || printed[1] != "***" {
			t.Errorf("%s: printed %q", value, printed)
		}
		if got := s.Text("/etc/zarafa/server.cfg"); !strings.Contains(got, "mysql_password = "+planted+"\n") || !strings.Contains(got, "mysql_user = "+planted+"\n") {
			t.Errorf("%s: wrote\n%s", value, got)
		}
	}
}

// TestNoPlaceForSecrets has what must refuse a secret, and say what works.
func TestNoPlaceForSecrets(t *testing.T) {
	const way = "secret.text("
	for snippet, want := range map[string]string{
		`fs.write("/srv/x/" + pw, "x")`:                            way,
		`fs.write("/srv/x/%s" % pw, "x")`:                          way,
		`fs.mkdir("/srv/x/%s" % pw)`:                               way,
		`fs.remove("/srv/x/%s" % pw)`:                              way,
		`fs.symlink(str(pw), "/srv/x/l")`:                          way,
		`fs.copy("/srv/x/old", "/srv/x/%s" % pw)`:                  way,
		`fs.exists("/srv/x/%s" % pw)`:                              way,
		`fs.glob("/srv/%s/*" % pw)`:                                way,
		`info("title", "the password is %s" % pw)`:                 way,
		`info("title", pw)`:                                        way,
		`warn("title", "x" + pw, "y")`:                             way,
		`inhibit("%s" % pw, "x", "y")`:                             way,
		`run(["/usr/sbin/postmap", "%s" % pw], repeatable = True)`: way,
		`run(["/usr/sbin/postmap", pw], repeatable = True)`:        way,
		`pkg.install(["%s" % pw])`:                                 "a secret",
		`svc.stop(str(pw))`:                                        way,
		`chown("/srv/x", owner = str(pw))`:                         way,
		`cfg.set("/etc/zarafa/server.cfg", {str(pw): "x"})`:        "a name in it is a secret",
		`mysql.query(mysql.connection({}), "SELECT '%s'" % pw)`:    way,
		`json.encode({"pw": pw})`:                                  way,
		`json.encode({"pw": "%s" % pw})`:                           way,
		`json.encode(["%s" % pw])`:                                 way,
		`text.to_hex(str(pw))`:                                     way,
		`fs.write("/srv/x/f", str(pw)[4:])`:                        "a piece",
		`fs.write("/srv/x/f", str(pw)[:12])`:                       "a piece",
		`fs.write("/srv/x/" + str(pw)[:-4], "x")`:                  way,
		`fs.write("/srv/x/f", "".join(reversed(list(str(pw).elems())[:0])) + str(pw)[8:40])`: "a piece",
		`pw == "x"`:                    "not compared",
		`"x" == pw`:                    "not compared",
		`pw != ""`:                     "not compared",
		`pw == pw`:                     "not compared",
		`str(pw) == "x"`:               "not compared",
		`pw in ["x"]`:                  "not compared",
		`[pw] == [pw]`:                 "not compared",
		`{pw: 1}`:                      "unhashable",
		`pw < pw`:                      "not compared",
		`pw[0]`:                        "secret",
		`len(pw)`:                      "secret",
		`pw.strip()`:                   "secret",
		`pw * 2`:                       "secret",
		`pw % "x"`:                     "secret",
		`fail("wrong: %s" % pw)`:       "wrong: ***",
		`fail(pw)`:                     "***",
		`secret.text("%s", {"a": pw})`: "got dict",
		`secret.text("%s %s", pw)`:     "not enough arguments",
		`secret.text(pw, "x")`:         way,
	} {
		t.Run(snippet, func(t *testing.T) {
			s := builtintest.New(t, secretHost, builtins.All())
			r := s.Run("pw = cfg.get(\"/etc/zarafa/server.cfg\", \"mysql_password\")\nx = " + snippet)
			if r.Verdict.Code != exit.Failed || !strings.Contains(r.Verdict.Text, want) || r.Verdict.Changes > 0 {
				t.Errorf("ended with %d and %d changes, %q; %q is not in it", r.Verdict.Code, r.Verdict.Changes, r.Verdict.Text, want)
			}
			if strings.Contains(r.Verdict.Text+string(r.Journal), planted) || strings.Contains(r.Verdict.Text, "\xf0\x92") {
				t.Errorf("the secret, or its token, shows: %q", r.Verdict.Text)
			}
		})
	}
}

// TestEveryParameterRefusesSecrets gives each parameter of each builtin a secret, in every guise. Those that take
// one are counted, so that a new one is meant.
func TestEveryParameterRefusesSecrets(t *testing.T) {
	pw := script.SecretValue{Secret: host.NewSecret(planted)}
	token := starlark.String(pw.String())
	rows := 0
	for _, b := range builtins.All() {
		for _, p := range b.Params {
			switch p.Type {
			case script.Text, script.SecretT, script.Data, script.Dict, script.Any:
				continue
			}
			for _, v := range []starlark.Value{pw, token, "/srv/" + token, starlark.NewList([]starlark.Value{pw}), starlark.NewList([]starlark.Value{"/srv/" + token})} {
				rows++
				_, err := starlark.Call(&starlark.Thread{}, b.Callable(), nil, []starlark.Tuple{{starlark.String(p.Name), v}})
				if err == nil || !strings.Contains(err.Error(), "a secret can only be given where one is asked for") {
					t.Errorf("%s(%s = %s): %v", b.Name, p.Name, script.Masked(fmt.Sprint(v)), err)
				}
			}
		}
	}
	if rows < 300 {
		t.Errorf("only %d rows", rows)
	}
}

// TestForeignCuneiform leaves alone what only looks like a token.
func TestForeignCuneiform(t *testing.T) {
	s := builtintest.New(t, secretHost, builtins.All())
	text := "𒀀𒀁𒀂 is how a name may be written"
	s.Succeed("x = str(cfg.get(\"/etc/zarafa/server.cfg\", \"mysql_password\"))\nfs.write(\"/srv/x/new\", \"" + text + "\")")
	if got := s.Text("/srv/x/new"); got != text {
		t.Errorf("wrote %q", got)
	}
}
