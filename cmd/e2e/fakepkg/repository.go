package fakepkg

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Signer is a throwaway OpenPGP key. Close it.
type Signer struct{ home, userID string }

// NewSigner makes a key with its own GNUPGHOME; it needs gpg.
func NewSigner(userID string) (*Signer, error) {
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		return nil, err
	}
	s := &Signer{home, userID}
	if _, err := s.gpg(nil, "--passphrase", "", "--quick-gen-key", userID, "rsa2048", "sign", "never"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Key is the public key, armoured.
func (s *Signer) Key() ([]byte, error) { return s.gpg(nil, "--armor", "--export") }

// Close ends the agent that gpg started and removes the key.
func (s *Signer) Close() error {
	stop := exec.Command("gpgconf", "--kill", "gpg-agent")
	stop.Env = s.env()
	return errors.Join(stop.Run(), os.RemoveAll(s.home))
}

func (s *Signer) env() []string {
	return []string{"GNUPGHOME=" + s.home, "PATH=/usr/bin:/bin", "LC_ALL=C"}
}

func (s *Signer) gpg(input []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("gpg", append([]string{"--batch", "--quiet", "--no-tty"}, args...)...)
	cmd.Env = s.env()
	cmd.Stdin = bytes.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gpg %s: %w: %s", args[0], err, problem.Bytes())
	}
	return out.Bytes(), nil
}

// WriteRepository writes package files and the indexes of a flat repository ("deb URL ./") to dir.
// With a signer it is signed (InRelease, Release.gpg) and has its key in Release.key.
func WriteRepository(dir, origin string, packages []Package, signer *Signer) error {
	return extend(dir, origin, nil, packages, signer)
}

// ExtendRepository writes a repository that has what the one in base has, and some packages more.
func ExtendRepository(dir, base, origin string, packages []Package, signer *Signer) error {
	index, err := os.ReadFile(filepath.Join(base, "Packages"))
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(base, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Link(file, filepath.Join(dir, filepath.Base(file))); err != nil {
			return err
		}
	}
	return extend(dir, origin, index, packages, signer)
}

func extend(dir, origin string, known []byte, packages []Package, signer *Signer) error {
	index := *bytes.NewBuffer(known)
	for _, p := range packages {
		data, err := p.Deb()
		if err != nil {
			return fmt.Errorf("build %s: %w", p.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.FileName()), data, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nMD5sum: %x\nSHA256: %x\n\n",
			p.control(), p.FileName(), len(data), md5.Sum(data), sha256.Sum256(data))
	}
	files := map[string][]byte{"Packages": index.Bytes(), "Packages.gz": zipped(index.Bytes())}
	release := releaseFile(origin, files)
	files["Release"] = release
	if signer != nil {
		if err := signer.sign(release, files); err != nil {
			return err
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *Signer) sign(release []byte, files map[string][]byte) error {
	for name, args := range map[string][]string{
		"InRelease":   {"--clearsign"},
		"Release.gpg": {"--armor", "--detach-sign"},
	} {
		signed, err := s.gpg(release, args...)
		if err != nil {
			return err
		}
		files[name] = signed
	}
	key, err := s.Key()
	files["Release.key"] = key
	return err
}

func releaseFile(origin string, files map[string][]byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Origin: %s\nLabel: %s\nDate: %s\nSHA256:\n", origin, origin, epoch.Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	for _, name := range []string{"Packages", "Packages.gz"} {
		fmt.Fprintf(&b, " %x %d %s\n", sha256.Sum256(files[name]), len(files[name]), name)
	}
	return b.Bytes()
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	zip.Write(data)
	zip.Close()
	return b.Bytes()
}
