package live

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"zcp2kopano/runtime/host"
)

// limited is a disk with so much room.
type limited struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no space left")

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.room {
		return 0, errFull
	}
	return l.Buffer.Write(p)
}

// digits is text of which no part is like another, and which packs to half its size: binary values in a dump.
func digits(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = "0123456789ABCDEF"[r.IntN(16)]
	}
	return text
}

// TestPacker: whatever is written, in parts of whatever size, is read again by anybody, in order.
func TestPacker(t *testing.T) {
	unpack := map[string]func(io.Reader) (io.Reader, error){
		"none": func(r io.Reader) (io.Reader, error) { return r, nil },
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	all := digits(3*packPart + 321)
	for _, kind := range host.Compressions {
		for _, size := range []int{0, 1, packPart, packPart + 1, len(all)} {
			var out bytes.Buffer
			p, err := newPacker(kind, &out)
			if err != nil {
				t.Fatal(err)
			}
			s := &dumpScanner{out: p}
			var from io.Reader = bytes.NewReader(all[:size])
			if size == 1 {
				from = iotest.DataErrReader(from)
			}
			if n, err := s.ReadFrom(iotest.HalfReader(from)); err != nil || n != int64(size) {
				t.Fatalf("%s, %d bytes: %d, %v", kind, size, n, err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			packed := out.Len()
			if _, most := host.LargestDump(int64(size)/2, kind); int64(packed) > most {
				t.Errorf("%s: %d bytes in %d, at most %d were told", kind, size, packed, most)
			}
			r, err := unpack[kind](&out)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", kind, size, err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, all[:size]) {
				t.Errorf("%s, %d bytes: %d bytes come back (%v)", kind, size, len(got), err)
			}
		}
	}
	if _, err := newPacker("lz4", nil); err == nil {
		t.Error("lz4 is taken")
	}
}

// TestPackedElsewhere: the usual programs read it, too.
func TestPackedElsewhere(t *testing.T) {
	all := digits(2*packPart + 99)
	for kind, tool := range map[string]string{"gzip": "/usr/bin/gzip", "zstd": "/usr/bin/zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("%s is not there to read it", tool)
			continue
		}
		var out bytes.Buffer
		p, err := newPacker(kind, &out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(all); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), tool, "-dc")
		cmd.Stdin = &out
		if got, err := cmd.Output(); err != nil || !bytes.Equal(got, all) {
			t.Errorf("%s: %d bytes come back (%v)", tool, len(got), err)
		}
	}
}

// TestPackerFails: a full disk is told to whoever writes, at the latest at the end, and nobody waits for ever.
func TestPackerFails(t *testing.T) {
	all := digits(9 * packPart)
	for _, room := range []int{0, 2 * packPart, len(all) - 1} {
		out := &limited{room: room}
		p, err := newPacker("none", out)
		if err != nil {
			t.Fatal(err)
		}
		s := &dumpScanner{out: p}
		_, err = s.ReadFrom(bytes.NewReader(all))
		if closed := p.Close(); !errors.Is(closed, errFull) {
			t.Errorf("room for %d: the end says %v, writing %v", room, closed, err)
		}
		if !bytes.HasPrefix(all, out.Bytes()) {
			t.Errorf("room for %d: what is there is not how it begins", room)
		}
	}
	broken := errors.New("broken")
	p, err := newPacker("zstd", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := &dumpScanner{out: p}
	if n, err := s.ReadFrom(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken))); !errors.Is(err, broken) || n != 3 {
		t.Errorf("a tool that breaks: %d, %v", n, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
