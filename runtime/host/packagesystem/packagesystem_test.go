package packagesystem

import "testing"

func TestNames(t *testing.T) {
	for file, want := range map[string]string{
		"/srv/kopano-server_8.7.0-1_amd64.deb": "kopano-server", "/srv/libx_1%3a2_all.deb": "libx",
		"/srv/kopano-server-8.7.0-1.el7.x86_64.rpm": "kopano-server", "/srv/x-1.rpm": "x",
	} {
		if got := NameOfFile(file); got != want {
			t.Errorf("%s is of %s, want %s", file, got, want)
		}
	}
	for name, want := range map[string]bool{
		"server.cfg.dpkg-dist": true, "server.cfg.dpkg-old": true, "server.cfg.ucf-dist": true,
		"server.cfg.rpmnew": true, "server.cfg.rpmsave": true, "server.cfg.rpmorig": true, "server.cfg": false, "rpmsave.cfg": false,
	} {
		if got := IsLeftover(name); got != want {
			t.Errorf("%s is left over: %v", name, got)
		}
	}
	for manager, older := range map[string]string{"apt": "1.0~rc1", "yum": "1.0~rc1", "zypper": "0:0.9-1"} {
		if Of(manager).Compare(older, "1.0") >= 0 {
			t.Errorf("%s: %s is not older than 1.0", manager, older)
		}
	}
	if !Of("dnf").IsFile("a-1-1.noarch.rpm") || Of("apt").IsFile("a-1-1.noarch.rpm") || !Of("apt").Fits("all", "amd64") || Of("apt").Fits("i386", "amd64") {
		t.Error("package files are told by the wrong system")
	}
}
