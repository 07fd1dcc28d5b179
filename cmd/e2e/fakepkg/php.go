package fakepkg

// PHPPackages are the PHP bindings of a generation for a release's PHP ("5.5", "7.0", "7.2"): php5-mapi or
// php7-mapi. Kopano's script puts the settings where that PHP looks for them, as no conffile.
func (g Generation) PHPPackages(php string) []Package {
	name, modules, library := "php7-mapi", "/etc/php/"+php+"/mods-available", "/usr/lib/php/20151012/mapi.so"
	common := "php" + php + "-common"
	if php < "7" {
		name, modules, library, common = "php5-mapi", "/etc/php5/mods-available", "/usr/lib/php5/20121212/mapi.so", "php5-common"
	}
	if g.Product == "zarafa" {
		p := g.zarafa(name, "Zarafa: PHP bindings", "zarafa-client, "+common)
		p.Section = "php"
		p.Files = []File{Text(library, "module mapi of zarafa"), Text("/usr/share/php/mapi/mapi.util.php", "<?php")}
		p.conffiles(Text(modules+"/zarafa.ini", "extension=mapi.so"))
		return []Package{p}
	}
	p := g.kopano(name, "PHP bindings", "kopano-client, "+common)
	p.Section = "php"
	if name == "php7-mapi" {
		p.Conflicts, p.Replaces, p.Provides = "php5-mapi", "php5-mapi", "php5-mapi"
	}
	p.Files = []File{Text(library, "module mapi of kopano"), Text("/usr/share/kopano/php/mapi/mapi.util.php", "<?php"),
		Text("/usr/share/kopano/php/mapi/mapi.ini", "extension=mapi.so")}
	p.Scripts = map[string]string{
		"postinst": script(when(configuring, "cp /usr/share/kopano/php/mapi/mapi.ini "+modules+"/kopano.ini")),
		"prerm":    script(when(removing, "rm -f "+modules+"/kopano.ini")),
	}
	return []Package{p}
}

// phpCommon are the distribution's packages that the bindings need.
func phpCommon(debian Package) []Package {
	var all []Package
	for _, v := range [][3]string{{"5", "/etc/php5", "/usr/share/php5"}, {"7.0", "/etc/php/7.0", "/usr/lib/php/7.0"}, {"7.2", "/etc/php/7.2", "/usr/lib/php/7.2"}} {
		p := debian
		p.Name, p.Section, p.Summary = "php"+v[0]+"-common", "php", "PHP"
		// Of directories alone, a package would disappear as soon as another one has them, too.
		p.Files = []File{Dir(v[1]+"/mods-available", 0o755), Text(v[2]+"/php.ini-production", "; settings of PHP "+v[0])}
		all = append(all, p)
	}
	return all
}
