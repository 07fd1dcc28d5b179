package host_test

import (
	"strings"
	"testing"

	"zcp2kopano/builtins/host"
	"zcp2kopano/builtins/internal/builtintest"
)

const fixture = `
-- host --
hostname: example.org
machine-id: 0f3a6f0e5f8c4a30b1a3f2a1c7d8e901
kernel: 3.16.0-6-amd64
init: sysv
security: apparmor
time: 2018-03-17T20:30:00Z
-- mounts --
/    /dev/sda1 ext4 60G 38G
/srv nas:/x    nfs4 9T  1T ro
-- ports --
mail2.example.org:236 answers
[2001:db8::7]:236 refuses
-- /etc/os-release --
ID=ubuntu
VERSION_ID="14.04"
PRETTY_NAME="Ubuntu 14.04.6 LTS"
-- passwd --
zarafa:x:109:115:Zarafa:/var/lib/zarafa:/bin/false
-- group --
zarafa:x:115:alice
`

func TestHost(t *testing.T) {
	s := builtintest.New(t, fixture, host.Builtins())
	got := s.Succeed(`
f = host.facts()
print(f.system, f.version, f.name, f.codename == "", f.arch, f.kernel, f.init, f.hostname, f.machine_id[:4], f.security, f.uid)
print(host.matches("ubuntu >= 14.04"), host.matches(["debian", "ubuntu < 14.04"]), host.matches(("debian", "ubuntu")))
print(host.user("zarafa").uid, host.user("zarafa").home, host.user("nobody-here"), host.user_by_id(109).name, host.user_by_id(4242))
print(host.group("zarafa").gid, host.group("zarafa").members, host.group("none"))
print([(m.point, m.type, m.read_only) for m in host.mounts()])
t = host.now()
print(t.text[:16], t.stamp[:13], t.unix)
`)
	want := []string{
		"ubuntu 14.04 Ubuntu 14.04.6 LTS True amd64 3.16.0-6-amd64 sysv example.org 0f3a apparmor 0",
		"True False True",
		"109 /var/lib/zarafa None zarafa None",
		`115 ["alice"] None`,
		`[("/", "ext4", False), ("/srv", "nfs4", True)]`,
		"2018-03-17T20:30 20180317-2030 1521318600",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	ports := s.Succeed(`
for address in ["mail2.example.org:236", "[2001:db8::7]:236", "192.0.2.7:236", "192.0.2.7", "192.0.2.7:http"]:
    found = host.port(address)
    print(found.state, found.problem)
`)
	if want := []string{"answers ", "refuses ", "unreachable 192.0.2.7:236: no answer, as the fixture does not list it", "unreachable address 192.0.2.7: missing port in address", `unreachable "192.0.2.7:http" is not HOST:PORT`}; strings.Join(ports, "\n") != strings.Join(want, "\n") {
		t.Errorf("ports: %q", ports)
	}
	s.Fail(`host.matches("ubuntu => 14.04")`, "operator")
	s.Fail(`host.matches(["debian", 8])`, "want strings")
	s.Fail(`host.matches(8)`, "want a string")
	s.Fail(`host.user_by_id(-1)`, "out of range")
}
