package cfg

import (
	"path"
	"regexp"
	"slices"
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
		if slices.Contains(r.shipped, strings.Trim(value, `"'`)) {
			continue
		}
		converted, ok := r.convert(strings.Trim(value, `"'`))
		if r.new == "" || !ok {
			c.problem(base, 0, "%s = %s in %s has no counterpart in autorespond.cfg; set it by hand", r.old, value, source)
			continue
		}
		current, set := base.Get(r.new)
		if def, _ := Lookup("autorespond", r.new).Default(w.To); !set && respondDefault(def) == converted {
			continue
		}
		changed = true
		if set && current == converted {
			continue
		}
		line, err := base.Set(r.new, converted)
		if err != nil {
			return err
		}
		c.note(base, line, r.new, r.old+"="+value, converted, "autorespond is a program with a configuration file in Kopano")
	}
	w.handled[source] = true
	w.collect(c)
	if !changed {
		w.skip(source, "holds what ZCP ships; kopano-autorespond has these defaults")
		return nil
	}
	w.written[source] = base
	w.order = append(w.order, NewFile{Path: target, Source: source})
	return nil
}

// respondDefault spells a default of the program ("False", "24 * 3600") as its file does.
func respondDefault(def string) string {
	if product, ok := shellProduct(def); ok {
		return product
	}
	return pythonBool(def)
}

// respondRules are the variables of the shell file, with what ZCP 7.1 and 7.2 ship. Where the new
// file has no such thing, there is no new name.
var respondRules = []struct {
	old, new string
	convert  func(string) (string, bool)
	shipped  []string
}{
	{"AUTORESPOND_CC", "autorespond_cc", shellBool, []string{"0"}},
	{"AUTORESPOND_BCC", "autorespond_bcc", shellBool, []string{"0"}},
	{"AUTORESPOND_NORECIP", "autorespond_norecip", shellBool, []string{"0"}},
	{"TIMELIMIT", "timelimit", shellProduct, []string{"$[24*60*60]"}},
	{"SENDDB", "", noCounterpart, []string{"${TMP:-/tmp}/zarafa-vacation-$USER.db", "$BASE_PATH/zarafa-vacation-$USER.db"}},
	{"SENDDBTMP", "", noCounterpart, []string{"${TMP:-/tmp}/zarafa-vacation-$USER-$$.tmp", "$BASE_PATH/zarafa-vacation-$USER-$$.tmp"}},
	{"SENDMAILCMD", "", noCounterpart, []string{"/usr/sbin/sendmail"}},
	{"SENDMAILPARAMS", "", noCounterpart, []string{"-t -f"}},
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
