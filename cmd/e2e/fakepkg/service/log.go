package service

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Levels of the log, as log_level counts them.
const (
	Critical = 1
	Error    = 2
	Warning  = 3
	Notice   = 4
	Info     = 5
	Always   = 0
)

// Logf writes a line to the log, if log_level has it.
func (d *Daemon) Logf(level int, format string, args ...any) {
	limit, err := strconv.Atoi(d.Settings["log_level"])
	if err != nil {
		limit = Warning
	}
	if level <= limit {
		fmt.Fprintf(d.log, "%s: %s%s\n", time.Now().Format(time.ANSIC), d.label(level), fmt.Sprintf(format, args...))
	}
}

// label is how Kopano marks the level of a line.
func (d *Daemon) label(level int) string {
	if d.Product != "kopano" {
		return ""
	}
	names := []string{"=======", "crit", "error", "warning", "notice", "info"}
	return fmt.Sprintf("[%-7s] ", names[level])
}

// openLog opens the log, as its user if the daemon is still root. A log that cannot be written goes to
// stderr.
func (d *Daemon) openLog() {
	d.log = os.Stderr
	file := d.Settings["log_file"]
	method := d.Settings["log_method"]
	if file == "" || file == "-" || (method != "file" && method != "auto") {
		return
	}
	if who, err := d.user(); os.Getuid() == 0 && err == nil && who != nil {
		test := exec.Command("/usr/bin/touch", file)
		test.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		if test.Run() != nil {
			fmt.Fprintf(os.Stderr, "unable to open log file %s as user %s\n", file, d.Settings["run_as_user"])
			return
		}
	}
	if log, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err == nil {
		d.log = log
	} else {
		fmt.Fprintf(os.Stderr, "unable to open log file: %v\n", err)
	}
}

// ReopenLog is what a log rotation wants.
func (d *Daemon) ReopenLog() {
	if d.log != os.Stderr {
		d.log.Close()
		d.openLog()
	}
	d.Logf(Warning, "log connection was reset")
}
