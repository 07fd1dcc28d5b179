package cfg

import (
	"path"
	"regexp"
	"strconv"
	"strings"
)

// autorespond turns the shell file /etc/zarafa/autorespond into autorespond.cfg of the Python program
// that took the script's place in 8.5.0. Earlier releases still source the shell file.
func (w *work) autorespond() error {
	source := path.Join(w.Source, "autorespond")
	if !w.To.AtLeast(8, 5, 0) {
		return nil
	}
	old, err := loadVia(w.view, source, w.where)
	if err != nil {
		return err
	}
	target := path.Join(w.Target, "autorespond.cfg")
	c := &conversion{daemon: "autorespond", from: w.From, to: w.To, out: func(*File) string { return target }}
	base, err := w.base(target, "autorespond")
	if err != nil {
		return err
	}
	changed := false
	for _, r := range respondRules {
		value, ok := old.Get(r.old)
		if !ok {
			continue
		}
		shell := Lookup("autorespond-shell", r.old)
		if shipped, _ := shell.Shipped(w.From); shipped == value {
			continue
		}
		converted, ok := r.convert(strings.Trim(value, `"'`))
		if r.new == "" || !ok {
			c.problem(base, 0, "%s = %s in %s has no counterpart in autorespond.cfg; set it by hand", r.old, value, source)
			continue
		}
		if current, _ := base.Get(r.new); current == converted {
			changed = true
			continue
		}
		line, err := base.Set(r.new, converted)
		if err != nil {
			return err
		}
		c.note(base, line, r.new, r.old+"="+value, converted, "autorespond is a program with a configuration file in Kopano")
		changed = true
	}
	w.handled[source] = true
	w.collect(c, base)
	if !changed {
		w.skip(source, "holds what ZCP ships; kopano-autorespond has these defaults")
		return nil
	}
	w.written[source] = base
	w.order = append(w.order, NewFile{Path: target, Source: source})
	return nil
}

var respondRules = []struct {
	old, new string
	convert  func(string) (string, bool)
}{
	{"AUTORESPOND_CC", "autorespond_cc", shellBool},
	{"AUTORESPOND_BCC", "autorespond_bcc", shellBool},
	{"AUTORESPOND_NORECIP", "autorespond_norecip", shellBool},
	{"TIMELIMIT", "timelimit", shellProduct},
	{"SENDDB", "", noCounterpart},
	{"SENDDBTMP", "", noCounterpart},
	{"SENDMAILCMD", "", noCounterpart},
	{"SENDMAILPARAMS", "", noCounterpart},
}

func noCounterpart(string) (string, bool) { return "", false }

func shellBool(s string) (string, bool) {
	switch s {
	case "0":
		return "no", true
	case "1":
		return "yes", true
	}
	return "", false
}

var arithmetic = regexp.MustCompile(`^(?:\$\[|\$\(\()?([0-9]+(?: ?\* ?[0-9]+)*)(?:\]|\)\))?$`)

// shellProduct evaluates "$[24*60*60]", "$((7*86400))" and plain numbers.
func shellProduct(s string) (string, bool) {
	m := arithmetic.FindStringSubmatch(s)
	if m == nil {
		return "", false
	}
	product := 1
	for _, factor := range strings.Split(m[1], "*") {
		n, err := strconv.Atoi(strings.TrimSpace(factor))
		if err != nil || n > 1<<31 {
			return "", false
		}
		product *= n
	}
	return strconv.Itoa(product), true
}
