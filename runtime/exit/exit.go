// Package exit names the exit codes of the command line. A run's verdict carries one.
package exit

// The exit codes. Any other is a fault of the program.
const (
	Done               = 0
	Failed             = 1
	Inhibited          = 2   // the preflight found inhibitors
	Differs            = 3   // the run would depart from its plan
	RollbackIncomplete = 4   // what is left is listed
	Locked             = 5   // another run is at work
	Interrupted        = 130 // by the admin
)
