package live

import (
	"bytes"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"zcp2kopano/runtime/host"
)

// packPart is how much is compressed at a time, by one of the processors. Each part is a frame, or a member, of its own:
// one behind the other they are one file to all that read zstd or gzip.
const packPart = 1 << 20

// packer compresses what is written to it on all processors, and writes that on in order. Whoever writes to it waits
// only when all of them are busy, or the disk is.
type packer struct {
	out    io.Writer
	pack   func(dst, src []byte) ([]byte, error)
	fill   *part      // is being filled
	free   chan *part // to be filled
	order  chan *part // to be written, one after the other
	work   chan *part // to be compressed, by whoever is free
	begun  bool
	ended  chan struct{} // all is written
	mutex  sync.Mutex
	failed error
}

type part struct {
	plain, packed []byte
	err           error
	ready         chan struct{}
}

func newPacker(kind string, out io.Writer) (*packer, error) {
	pack, err := compressor(kind)
	if err != nil {
		return nil, err
	}
	workers := runtime.GOMAXPROCS(0)
	parts := 2*workers + 2
	p := &packer{
		out: out, pack: pack,
		free: make(chan *part, parts), order: make(chan *part, parts), work: make(chan *part, parts), ended: make(chan struct{}),
	}
	for range parts {
		p.free <- &part{plain: make([]byte, 0, packPart), ready: make(chan struct{}, 1)}
	}
	for range workers {
		go p.compress()
	}
	go p.write()
	return p, nil
}

func (p *packer) compress() {
	for b := range p.work {
		b.packed, b.err = p.pack(b.packed[:0], b.plain)
		b.ready <- struct{}{}
	}
}

func (p *packer) write() {
	defer close(p.ended)
	for b := range p.order {
		<-b.ready
		err := b.err
		if err == nil && p.err() == nil {
			_, err = p.out.Write(b.packed)
		}
		p.fail(err)
		b.plain = b.plain[:0]
		p.free <- b
	}
}

func (p *packer) fail(err error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

func (p *packer) err() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.failed
}

// room is where the next bytes go.
func (p *packer) room() []byte {
	if p.fill == nil {
		p.fill = <-p.free
	}
	return p.fill.plain[len(p.fill.plain):cap(p.fill.plain)]
}

// took says that so many bytes were put into the room.
func (p *packer) took(n int) error {
	p.fill.plain = p.fill.plain[:len(p.fill.plain)+n]
	if len(p.fill.plain) == cap(p.fill.plain) {
		p.hand()
	}
	return p.err()
}

func (p *packer) hand() {
	b := p.fill
	p.fill, p.begun = nil, true
	p.order <- b
	p.work <- b
}

func (p *packer) Write(data []byte) (int, error) {
	n := 0
	for n < len(data) {
		part := copy(p.room(), data[n:])
		if err := p.took(part); err != nil {
			return n, err
		}
		n += part
	}
	return n, nil
}

// Close waits until all is written.
func (p *packer) Close() error {
	p.room()
	if len(p.fill.plain) > 0 || !p.begun { // what holds nothing is a file of its kind, too
		p.hand()
	}
	close(p.order)
	close(p.work)
	<-p.ended
	return p.err()
}

// compressor makes one frame, or member, of what it is given.
//
// zstd takes its fastest level: it packs dumps as well as the usual one, to a hundredth, in a third of the time. The
// digits of binary values repeat nothing, and are still packed to the half of their size.
func compressor(kind string) (func(dst, src []byte) ([]byte, error), error) {
	switch kind {
	case "zstd":
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, err
		}
		return func(dst, src []byte) ([]byte, error) { return z.EncodeAll(src, dst), nil }, nil
	case "gzip":
		spare := sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
		return func(dst, src []byte) ([]byte, error) {
			w := spare.Get().(*gzip.Writer)
			defer spare.Put(w)
			out := bytes.NewBuffer(dst)
			w.Reset(out)
			if _, err := w.Write(src); err != nil {
				return nil, err
			}
			err := w.Close()
			return out.Bytes(), err
		}, nil
	case "none":
		return func(dst, src []byte) ([]byte, error) { return append(dst, src...), nil }, nil
	}
	return nil, host.CheckCompression(kind)
}
