package lint

// rule is a kind of mistake. Its hint is the next step where a finding has none of its own.
type rule struct {
	name     string
	severity Severity
	doc      string
	hint     string
}

// The rules. `zcp2kopano doc lint` lists them.
var (
	ruleSyntax     = rule{"syntax", Error, "the text is no Starlark", "`zcp2kopano doc language` shows what the language has"}
	ruleName       = rule{"name", Error, "a name is not defined, or defined twice", "`zcp2kopano doc` lists the names that a runbook can use"}
	ruleLoad       = rule{"load", Error, "a module cannot be loaded, or lacks what is loaded from it", "look at the name of the module and of what it defines"}
	ruleAttribute  = rule{"attribute", Error, "a value has no such field or method", "`zcp2kopano doc` lists modules, functions and methods"}
	ruleArguments  = rule{"arguments", Error, "a call does not fit what is called", "compare the call with the signature"}
	ruleValue      = rule{"value", Error, "an argument cannot be taken: a path, a mode, one of a few words", "write a value that the declaration allows"}
	ruleType       = rule{"type", Error, "values of these types do not go together", "convert one of them: str(x), int(x), list(x)"}
	ruleFormat     = rule{"format", Error, "a format does not fit its values", "% knows %s %r %d %i %o %x %X %e %f %g %c and %%, without widths"}
	ruleFrozen     = rule{"frozen", Error, "what a module defines at its top level cannot be changed later", "make the list or dict inside the function, and return it"}
	ruleIteration  = rule{"iteration", Error, "what is gone through is changed meanwhile", "go through a copy: for x in list(xs)"}
	ruleRecursion  = rule{"recursion", Error, "a function calls itself", "go through a list with for; Starlark has no recursion, so that every runbook ends"}
	ruleUnassigned = rule{"uninitialized", Error, "a variable is used where it may have no value", "give it a value before the branch or loop"}
	ruleEffect     = rule{"effect", Error, "what works on the host or the run is called where it may not be", "call it in a step"}
	ruleStep       = rule{"step", Error, "a step cannot be called as the runbook has it", "a step is a function with a docstring that names what it takes"}
	ruleResult     = rule{"step-result", Error, "a step does not return what later steps take", "return what `zcp2kopano doc runbook` says of the step's result"}
	ruleEvaluation = rule{"evaluation", Error, "the runbook fails while it is loaded", "mend the line that is shown"}

	ruleMaybe       = rule{"maybe-uninitialized", Warning, "a variable is used where it has no value on some ways", ruleUnassigned.hint}
	ruleMaybeEffect = rule{"maybe-effect", Warning, "a function works on the host on some way, and is called where that may not be", "leave that to a step, or be sure that this way is not taken"}
	ruleUnreachable = rule{"unreachable", Warning, "no way leads to a statement", "remove it, or what ends the function before it"}
	ruleUnused      = rule{"unused-variable", Warning, "a variable is not used", "remove it, or begin its name with an underscore"}
	ruleUnusedLoad  = rule{"unused-load", Warning, "what is loaded is not used", "remove it from the load statement"}
	ruleUnusedParam = rule{"unused-param", Warning, "no step takes a parameter of the runbook", "name it as a parameter of the step that needs it, or remove it"}
	ruleNoEffect    = rule{"no-effect", Warning, "a statement does nothing", "call the function with (), or use the value"}
	ruleReturn      = rule{"return-value", Warning, "some ways through a function return a value and others do not", "end the other ways with return None, or the value that is meant"}
	ruleDocstring   = rule{"docstring", Warning, "a module, or a long function for others, says nothing of itself", "begin it with a text in three double quotes that says what it is for"}
	ruleDivision    = rule{"integer-division", Warning, "the quotient of two whole numbers is no whole number", "write // for whole numbers"}
	ruleAppend      = rule{"list-append", Warning, "a list is made again to add an element", "write append: xs.append(x)"}
	ruleShadow      = rule{"shadowed-name", Warning, "a name of the language or of a module is taken away", "choose another name"}
	ruleConstant    = rule{"constant", Warning, "a condition is always so, or a key stands twice", "look whether that is meant"}
)

// Rules lists all rules with what they are about, for the reference.
func Rules() [][3]string {
	var list [][3]string
	for _, r := range []rule{
		ruleSyntax, ruleName, ruleLoad, ruleAttribute, ruleArguments, ruleValue, ruleType, ruleFormat, ruleFrozen, ruleIteration,
		ruleRecursion, ruleUnassigned, ruleEffect, ruleStep, ruleResult, ruleEvaluation,
		ruleMaybe, ruleMaybeEffect, ruleUnreachable, ruleUnused, ruleUnusedLoad, ruleUnusedParam, ruleNoEffect, ruleReturn, ruleDocstring, ruleDivision,
		ruleAppend, ruleShadow, ruleConstant,
	} {
		list = append(list, [3]string{r.name, string(r.severity), r.doc})
	}
	return list
}
