package e2e

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Image is a root at rest: layers over the base tree, in overlayfs's notation, from which any number of
// roots can be made in milliseconds. It lasts as long as the test binary runs.
type Image string

// From makes a root that begins with what an Image holds, instead of with the bare base tree.
func From(image Image) Option { return func(o *options) { o.image = image } }

// Freeze ends all processes of the root and keeps its files as an Image. What lies on mounts of the
// root (/dev, /run) is not kept. The root cannot be used any more.
func (r *Root) Freeze() Image {
	r.t.Helper()
	r.halt()
	r.kept = true
	for _, point := range mountsBelow(r.Dir) {
		defer func() {
			if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
				r.t.Errorf("unmount %s: %v", point, err)
			}
		}()
	}
	upper := filepath.Join(r.layers, "u")
	if r.image == "" {
		return Image(upper)
	}
	return Image(upper + ":" + string(r.image))
}
