package rpm

import (
	"encoding/xml"
	"io"
)

// PrimaryLocation is the path of the list of packages, below the repository's address, that its
// repomd.xml names; empty if it names none.
func PrimaryLocation(repomd []byte) (string, error) {
	var index struct {
		Data []struct {
			Type     string `xml:"type,attr"`
			Location struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
		} `xml:"data"`
	}
	if err := xml.Unmarshal(repomd, &index); err != nil {
		return "", err
	}
	for _, d := range index.Data {
		if d.Type == "primary" {
			return d.Location.Href, nil
		}
	}
	return "", nil
}

// Package is a package in the list of a repository.
type Package struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Summary string `xml:"summary"`
	Version struct {
		Epoch   string `xml:"epoch,attr"`
		Version string `xml:"ver,attr"`
		Release string `xml:"rel,attr"`
	} `xml:"version"`
	Size struct {
		Package   int64 `xml:"package,attr"`
		Installed int64 `xml:"installed,attr"`
	} `xml:"size"`
	Location struct {
		Href string `xml:"href,attr"` // below the repository's address
	} `xml:"location"`
	Format struct {
		Vendor     string  `xml:"vendor"`
		Source     string  `xml:"sourcerpm"`
		Requires   []Entry `xml:"requires>entry"`
		Provides   []Entry `xml:"provides>entry"`
		Conflicts  []Entry `xml:"conflicts>entry"`
		Obsoletes  []Entry `xml:"obsoletes>entry"`
		Recommends []Entry `xml:"recommends>entry"`
	} `xml:"format"`
}

// Entry is a dependency.
type Entry struct {
	Name    string `xml:"name,attr"`
	Flags   string `xml:"flags,attr"`
	Epoch   string `xml:"epoch,attr"`
	Version string `xml:"ver,attr"`
	Release string `xml:"rel,attr"`
}

var senses = map[string]string{"LT": "<", "LE": "<=", "EQ": "=", "GE": ">=", "GT": ">"}

// String is "NAME" or "NAME OP [EPOCH:]VERSION[-RELEASE]", without an epoch of 0.
func (e Entry) String() string {
	sense := senses[e.Flags]
	if sense == "" {
		return e.Name
	}
	number := e.Version
	if e.Epoch != "" && e.Epoch != "0" {
		number = e.Epoch + ":" + number
	}
	if e.Release != "" {
		number += "-" + e.Release
	}
	return e.Name + " " + sense + " " + number
}

// ReadPrimary reads a list entry by entry: that of a distribution has tens of megabytes.
func ReadPrimary(r io.Reader, each func(Package)) error {
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "package" {
			continue
		}
		var p Package
		if err := d.DecodeElement(&p, &start); err != nil {
			return err
		}
		each(p)
	}
}
