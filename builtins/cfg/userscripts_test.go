package cfg

import (
	"slices"
	"strings"
	"testing"
)

// What ZCP ships below /etc/zarafa/userscripts would take the place of Kopano's scripts of the same name, and
// new users would get no mailbox: it is kept beside, and nothing can run it there.
func TestShippedScriptsAreNotPutInForce(t *testing.T) {
	old := map[string]string{
		"/etc/zarafa/server.cfg": "createuser_script = /etc/zarafa/userscripts/createuser\ncreategroup_script = /etc/zarafa/userscripts/createcompany\n",
	}
	for _, name := range ownScripts {
		old["/etc/zarafa/userscripts/"+name] = "#!/bin/sh\nzarafa-admin --create-store \"$ZARAFA_USER\" --lang de_DE\n"
	}
	old["/usr/lib/kopano/userscripts/createuser.d/00createstore"] = "#!/bin/sh\nkopano-storeadm -Cn \"$KOPANO_USER\"\n"
	for _, approach := range []string{"merge", "copy"} {
		r := takeOver(t, old, approach, "7.2.6", "8.7.20")
		for _, name := range ownScripts {
			target := "/etc/kopano/userscripts/" + name
			if slices.ContainsFunc(r.Others, func(o Other) bool { return o.Target == target }) {
				t.Errorf("%s: %s is put in force", approach, target)
			}
			if !slices.Contains(r.Others, Other{Kind: "file", Source: "/etc/zarafa/userscripts/" + name, Target: target + ".zcp", Mode: "0640"}) {
				t.Errorf("%s: %s is not kept so that nothing can run it: %v", approach, name, r.Others)
			}
		}
		told := ""
		for _, p := range r.Skipped {
			told += p.String() + "\n"
		}
		if !strings.Contains(told, "\n-zarafa-admin --create-store \"$ZARAFA_USER\" --lang de_DE\n+kopano-storeadm") {
			t.Errorf("%s: the difference is not told:\n%s", approach, told)
		}
		for _, name := range []string{"createuser_script", "creategroup_script"} {
			if got, set := value(t, r, "server.cfg", name); set && !strings.HasPrefix(got, "/usr/lib/kopano/") {
				t.Errorf("%s: %s = %s, which is not in force", approach, name, got)
			}
		}
	}
}

// The site's own scripts come along, and what they use of ZCP is told with its lines, wherever they are.
func TestOwnScriptsAreToldOf(t *testing.T) {
	script := "#!/bin/sh\n# zarafa-admin is called below\necho $ZARAFA_USER\nzarafa-admin --details \"${ZARAFA_USER}\"\n"
	r := takeOver(t, map[string]string{
		"/etc/zarafa/server.cfg":                      "deleteuser_script = /usr/local/bin/gone\n",
		"/etc/zarafa/userscripts/createuser.d/50mine": script,
		"/usr/local/bin/gone":                         "zarafa-admin -l\n",
	}, "merge", "7.2.6", "8.7.20")
	if !slices.Contains(r.Others, Other{Kind: "file", Source: "/etc/zarafa/userscripts/createuser.d/50mine", Target: "/etc/kopano/userscripts/createuser.d/50mine"}) {
		t.Errorf("others %v", r.Others)
	}
	for _, want := range []string{
		"createuser.d/50mine: uses ZARAFA_USER in lines 3, 4: Kopano sets KOPANO_USER instead",
		"createuser.d/50mine: uses zarafa-admin in line 4: the program is kopano-admin in Kopano",
		"/usr/local/bin/gone: uses zarafa-admin in line 1",
	} {
		if !slices.ContainsFunc(r.Problems, func(p Problem) bool { return strings.Contains(p.String(), want) }) {
			t.Errorf("not told: %s\n%v", want, r.Problems)
		}
	}
}
