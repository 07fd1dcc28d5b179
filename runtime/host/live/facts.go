package live

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// Facts reads what the system says of itself.
func (m *machine) Facts() (host.Facts, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return host.Facts{}, err
	}
	return host.Facts{
		Hostname:  m.hostname(),
		MachineID: m.machineID(),
		OSRelease: m.osRelease(),
		Arch:      m.arch(unix.ByteSliceToString(uts.Machine[:])),
		Kernel:    unix.ByteSliceToString(uts.Release[:]),
		Init:      m.initName(),
		Security:  m.securityModule(),
		UID:       m.files.euid,
	}, nil
}

// line reads the first line of a small file; empty if there is none.
func (s *space) line(path string) string {
	data, _ := s.readFile(path)
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(first)
}

func (m *machine) hostname() string {
	if m.files.chrooted() {
		if name := m.files.line("/etc/hostname"); name != "" {
			return name
		}
	}
	name, _ := os.Hostname()
	return name
}

// machineID is that of machine-id(5); before systemd, D-Bus kept one.
func (m *machine) machineID() string {
	if id := m.files.line("/etc/machine-id"); id != "" {
		return id
	}
	return m.files.line("/var/lib/dbus/machine-id")
}

// osRelease reads os-release(5), or makes the same of the files that were there before it.
func (m *machine) osRelease() map[string]string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if data, err := m.files.readFile(path); err == nil {
			return parseOSRelease(string(data))
		}
	}
	if data, err := m.files.readFile("/etc/SuSE-release"); err == nil {
		return parseSUSERelease(string(data))
	}
	if line := m.files.line("/etc/redhat-release"); line != "" {
		return parseRedHatRelease(line)
	}
	return nil
}

// parseRedHatRelease reads the one line that RHEL and CentOS 6 have: "CentOS release 6.10 (Final)".
func parseRedHatRelease(line string) map[string]string {
	name, version, _ := strings.Cut(line, " release ")
	fields := map[string]string{"NAME": name, "PRETTY_NAME": line, "ID": "rhel", "ID_LIKE": "fedora"}
	if version, _, _ = strings.Cut(version, " "); version != "" {
		fields["VERSION_ID"] = version
	}
	if strings.HasPrefix(name, "CentOS") {
		fields["ID"], fields["ID_LIKE"] = "centos", "rhel fedora"
	}
	return fields
}

// parseSUSERelease reads what SLES 11 has: the name, then VERSION and PATCHLEVEL.
func parseSUSERelease(text string) map[string]string {
	first, rest, _ := strings.Cut(text, "\n")
	fields := map[string]string{"PRETTY_NAME": first, "ID": "sles", "ID_LIKE": "suse"}
	fields["NAME"], _, _ = strings.Cut(first, " (")
	if strings.Contains(strings.ToLower(first), "opensuse") {
		fields["ID"] = "opensuse"
	}
	values := map[string]string{}
	for line := range strings.Lines(rest) {
		name, value, _ := strings.Cut(line, "=")
		values[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if fields["VERSION_ID"] = values["VERSION"]; values["PATCHLEVEL"] != "" && values["PATCHLEVEL"] != "0" {
		fields["VERSION_ID"] += "." + values["PATCHLEVEL"]
	}
	return fields
}

// parseOSRelease reads the shell-like assignments of os-release(5): values may be quoted, and within
// double quotes a backslash protects the next character.
func parseOSRelease(data string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(data) {
		line = strings.TrimSpace(line)
		name, value, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		fields[name] = unquote(value)
	}
	return fields
}

func unquote(value string) string {
	if len(value) < 2 || value[0] != value[len(value)-1] || value[0] != '"' && value[0] != '\'' {
		return value
	}
	quote, value := value[0], value[1:len(value)-1]
	if quote == '\'' || !strings.Contains(value, `\`) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// debianArchs are Debian's names of the machines that uname(2) names, for hosts whose package manager
// cannot be asked.
var debianArchs = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "i686": "i386", "i586": "i386", "armv7l": "armhf"}

// arch is spelt as the package manager does: dpkg has its own names, rpm takes those of the kernel.
func (m *machine) arch(machine string) string {
	if m.usesRPM() || !m.files.exists("/var/lib/dpkg/status") {
		return machine
	}
	if out, err := m.ask("dpkg", "--print-architecture"); err == nil {
		return strings.TrimSpace(out)
	}
	if arch, known := debianArchs[machine]; known {
		return arch
	}
	return machine
}

// initName follows sd_booted(3): the directory exists exactly where systemd runs as init.
func (m *machine) initName() string {
	if st, err := m.files.Lstat("/run/systemd/system"); err == nil && st.IsDir() {
		return "systemd"
	}
	return "sysv"
}

// securityModule names the mandatory access control in force. Kernels before 4.11 do not list their
// modules, so each is asked in its own place.
func (m *machine) securityModule() string {
	for name := range strings.SplitSeq(m.files.line("/sys/kernel/security/lsm"), ",") {
		if name == "selinux" || name == "apparmor" {
			return name
		}
	}
	if enforce, err := strconv.Atoi(m.files.line("/sys/fs/selinux/enforce")); err == nil && enforce >= 0 {
		return "selinux"
	}
	if m.files.line("/sys/module/apparmor/parameters/enabled") == "Y" {
		return "apparmor"
	}
	return ""
}
