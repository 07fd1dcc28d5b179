package fs

import (
	"path"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

var onlyParam = script.Param{Name: "only", Type: script.String, Doc: "glob: only what has such a name in the directory itself, with all below it", Optional: true, Default: `""`, Keyword: true}

var keep = &script.Builtin{
	Name: "fs.keep",
	Doc: "Keeps what will be deleted from a directory.\n\n" +
		"Each file gets a second name (a hard link) in the run's backup, or at the top of its mount if that is another, where " +
		"only root comes: no content is copied. It is for data that belongs to a database, whose dump may have to be loaded: " +
		"see fs.give_back. A file that is overwritten in its place is not kept. A directory that is not there is as an empty one.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path of the directory, where it lies now"},
		{Name: "of", Type: script.Path, Doc: "where it lay when it was first kept, if it was moved since", Optional: true, Default: `""`, Keyword: true},
		onlyParam,
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.keep("/var/lib/zarafa/attachments")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		only, err := onlyOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		return done(&action.Keep{Path: c.String("path"), Of: c.StringOr("of", c.String("path")), Only: only})
	},
}

var giveBack = &script.Builtin{
	Name: "fs.give_back",
	Doc: "Makes sure that a directory holds again what belongs to the database if its dump is loaded.\n\n" +
		"It lists what the directory holds. Call it when its old owner has stopped, and its new one has not begun. A rollback " +
		"that loads the dump then moves aside, and keeps, what came since, and brings back what was deleted since fs.keep, " +
		"before anything is started again; what is lost it names. Files whose number the restored table does not know, because " +
		"they came between the dump and this call, are moved aside, too.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path of the directory"},
		{Name: "numbers", Type: script.String, Doc: "table of the database whose numbers (AUTO_INCREMENT) the files' names begin with", Optional: true, Default: `""`, Keyword: true},
		onlyParam,
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.give_back("/var/lib/zarafa/attachments", numbers = "singleinstances")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		only, err := onlyOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		return done(&action.GiveBack{Path: c.String("path"), Only: only, Numbers: c.String("numbers")})
	},
}

func onlyOf(c *script.Call) (string, error) {
	only := c.String("only")
	if _, err := path.Match(only, ""); err != nil {
		return "", c.Errorf("argument only: pattern %q: %w", only, err)
	}
	return only, nil
}
