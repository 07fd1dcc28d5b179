package sim

import (
	"path"
	"slices"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// matches reports whether a package of rpm meets a dependency, which may be a path that it owns.
func (rpmFormat) matches(p *Package, want dependency.Possibility) bool {
	if path.IsAbs(want.Name) {
		if _, ok := p.file(want.Name); ok {
			return true
		}
	}
	return rpm.Meets(p.Name, p.Version, p.relations().provides, want)
}

// basicRPM stands for what every host with rpm has and a fixture need not say: a shell, the dynamic
// linker and the libraries of C and C++.
var basicRPM = &Package{Format: RPM, Files: []host.PackedFile{
	{Path: "/bin/bash"}, {Path: "/bin/sh"}, {Path: "/sbin/ldconfig"}, {Path: "/usr/bin/bash"}, {Path: "/usr/bin/env"}, {Path: "/usr/bin/sh"}, {Path: "/usr/sbin/ldconfig"},
}}

var basicLibraries = []string{"ld-linux*", "libc.so.*", "libcrypt.so.*", "libdl.so.*", "libgcc_s.so.*", "libm.so.*", "libpthread.so.*", "libresolv.so.*", "librt.so.*", "libstdc++.so.*", "libutil.so.*", "rtld(*"}

// basic reports whether a dependency is met by what the implied system has.
func (rs *rpms) basic(want dependency.Possibility) bool {
	return rs.system.implied && (basicRPM.matches(want) || slices.ContainsFunc(basicLibraries, func(glob string) bool { return globMatch(glob, want.Name) }))
}
