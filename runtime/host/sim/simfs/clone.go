package simfs

import "zcp2kopano/runtime/host"

// CloneFrom takes over another file's content by reference, as io.Copy does by ReadFrom; see
// host.Cloner. What does not fit is not cloned, so that a copy finds how much does.
func (h *file) CloneFrom(src host.File) (bool, error) {
	from, ok := src.(*file)
	if !ok || from.f != h.f || from.n == h.n {
		return false, nil
	}
	cloned := false
	err := h.change("write", func() (err error) {
		if from.closed || !from.reads || !h.writes || h.n.size != 0 {
			return nil
		}
		cloned, err = h.clone(from.n)
		return err
	})
	return cloned, err
}

var _ host.Cloner = (*file)(nil)
