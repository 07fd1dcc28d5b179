package live

import (
	"context"

	"zcp2kopano/runtime/host"
)

// programs runs them.
type programs struct{ m *machine }

// RunProgram runs a program that a runbook names.
func (h programs) RunProgram(ctx context.Context, req host.ProgramRequest) ([]string, error) {
	if err := host.CheckProgram(h.m.files, req.Path); err != nil {
		return nil, err
	}
	var lines []string
	_, err := h.m.run(ctx, command{
		Path: req.Path, Args: req.Args, Timeout: req.Timeout, Heard: true,
		Line: func(line string) {
			lines = append(lines, line)
			if len(lines) > host.MostLines {
				lines = lines[1:]
			}
		},
	})
	return lines, err
}
