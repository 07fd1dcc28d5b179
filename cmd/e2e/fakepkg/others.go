package fakepkg

// DistributionPackages are what a Debian system has besides: a libical of the distribution's own
// that others need, a program of a third party, and a library by Zarafa with a name like the
// distribution's, on which another program came to depend.
func DistributionPackages() []Package {
	debian := Package{
		Version: "3.0.16-1", Arch: arch, Maintainer: "Debian GNOME Maintainers <pkg-gnome-maintainers@lists.alioth.debian.org>",
		Section: "libs",
	}
	libical := debian
	libical.Name, libical.Source, libical.Summary = "libical3", "libical", "iCalendar library"
	libical.Files = []File{
		Text("/usr/lib/x86_64-linux-gnu/libical.so.3.0.16", "library libical of the distribution"),
		Link("/usr/lib/x86_64-linux-gnu/libical.so.3", "libical.so.3.0.16"),
	}
	obex := debian
	obex.Name, obex.Version, obex.Section, obex.Summary = "bluez-obexd", "5.66-1", "admin", "OBEX daemon"
	obex.Depends = "libical3"
	obex.Files = []File{Program("/usr/libexec/bluetooth/obexd", []byte("#!/bin/sh\n"))}

	vendored := ZCP.zarafa("libical0", "Zarafa: library libical.so.0", "")
	vendored.Section = "libs"
	vendored.Files = []File{Text("/usr/lib/libical.so.0", "library libical of the vendor")}
	orage := debian
	orage.Name, orage.Version, orage.Section, orage.Summary = "orage", "4.8.4-2", "x11", "Calendar"
	orage.Depends = "libical0"
	orage.Files = []File{Program("/usr/bin/orage", []byte("#!/bin/sh\n"))}
	return append([]Package{libical, obex, vendored, orage}, phpCommon(debian)...)
}
