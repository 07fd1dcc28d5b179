// Package action holds the changes that a run can make to a host, as data.
//
// Nothing else changes a host. An action is decided by a builtin, checked against the policy,
// written to the journal with all that is needed to undo it, and only then carried out. Apply and
// Undo are both idempotent and work from any half-way point: Apply brings the host from its start
// state, or from wherever a crash left it, to the end state; Undo brings it from anywhere back to
// the start. So resuming is Apply again, and rolling back is Undo.
//
// Each kind of action has a file, in which it registers itself: what it does, how it is brought to its end, how it is
// undone.
//
//	fs.write        write.go       a file's content
//	fs.mkdir        mkdir.go       a directory, and those above it
//	fs.symlink      symlink.go     a symlink
//	fs.copy         copy.go        a tree, laid over another
//	fs.move         move.go        a tree, moved or laid over another
//	fs.presync      presync.go     a tree, copied ahead of its move; how the move takes it up is in takeup.go
//	fs.remove       remove.go      a tree, kept whole in the store
//	account.join    join.go        a user, as a member of a group
//	fs.mount        mount.go       a file system, by its line in fstab
//	fs.unmount      mount.go       one that goes from where it is mounted
//	chown           chown.go       owners and modes of a tree; what it finds, its rules and its undo are in chown_*.go
//	tree.keep       keep.go        second names for the files of a tree, against their deletion
//	tree.give-back  giveback.go    what a kept tree holds again on the way back; giver.go
//	db.dump         dump.go        a dump of a database
//	db.restore      restore.go     the loading of a dump
//	pkg.commit      commit.go      packages that come and go; its keepers are in keepers.go and keeper_*.go
//	pkg.refresh     refresh.go     the package lists
//	pkg.repair      repair.go      what an interrupted transaction left
//	program.run     program.go     a program that the runbook names
//	ldap.convert    convert.go     the names of one schema in a directory's entries, which become those of another
//	ldap.configure  configure.go   a directory server's schema, and the names in its configuration
//	ldap.export     export.go      a database of a directory, in a file
//	ldap.transplant transplant.go  a database of a directory, made anew with the names of another schema
//	svc.set         service.go     a service's state; what it is to do, in works.go
//	svc.reload      reload.go      a service's configuration, read again
//
// A new kind is a file more. Whoever runs actions asks them by the optional interfaces of interfaces.go, and knows no
// kind. What kinds share:
//
//	action.go, env.go, registry.go    what an action is, what it works with, decoding by kind
//	store.go, preimage.go, since.go   kept contents, what a path was, what somebody has changed since
//	tree.go, paths.go                 what a tree amounts to, one path, symlinks, names that are not UTF-8; walks are in package tree
//	temps.go, meta.go                 names of what is unfinished; owners and modes, and that they are durable
//	copier.go, putback.go             copies of trees, and their way back
//	overlay.go, inventory.go          one tree over another, and a tree as it was
//	kept_tree.go, secondnames.go      trees whose files have second names
//	treelist.go, linknames.go         lists of trees, and the names of files that have several
//	packages.go, package_files.go     the package database; package files, kept or copied to where nobody can exchange them
//	overrides.go, shelter.go          dpkg's overrides, and data out of reach of the packages that go
//	guard.go, kept_services.go        services that are not to be disturbed, and those that are to stay as they are
//	connection.go, spared.go          how a database is reached, and whether a server has touched it
//	databasefiles.go                  the files of a directory whose server is stopped
//	diff.go                           how a text changes
package action
