package booktest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	elapsed  time.Duration
}

type junitCase struct {
	Class    string         `xml:"classname,attr"`
	Name     string         `xml:"name,attr"`
	Time     string         `xml:"time,attr"`
	Failures []junitFailure `xml:"failure"`
	Output   string         `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes results in the form that most programs for continuous integration read: a suite a file.
func JUnit(w io.Writer, results []Result) error {
	var all junitSuites
	for _, r := range results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		c := junitCase{Class: r.File, Name: r.Test, Time: seconds(r.Elapsed), Output: strings.Join(r.Output, "\n")}
		for _, f := range r.Failures {
			message, _, _ := strings.Cut(f.Message, "\n")
			c.Failures = append(c.Failures, junitFailure{Message: message, Text: f.Text()})
		}
		s.Tests++
		if len(c.Failures) > 0 {
			s.Failures++
		}
		s.elapsed += r.Elapsed
		s.Time = seconds(s.elapsed)
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// Text is a failure as it is read: where, what, and the line of the runbook.
func (f Failure) Text() string {
	text := f.Message
	if f.Pos != "" {
		text = f.Pos + ": " + text
	}
	for _, more := range []string{f.Source, f.Hint} {
		if more != "" {
			text += "\n" + more
		}
	}
	return text
}
