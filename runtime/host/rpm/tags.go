package rpm

// kind is that of a tag's values (rpmTagType).
type kind uint32

// More kinds of fields, and the tags that stand before all others in the two headers of a file.
const (
	kindOneOrMore   kind = 0 // a text, or several in an array
	kindBytes       kind = 7
	signaturesStart      = 62
	headerStart          = 63
)

// tag is one that a package file carries over from the database.
type tag struct {
	number uint32
	kind   kind
}

// carried are the tags of a package that make it what it is, by the name that rpm --xml has for them. What the
// database adds (when it was installed, states of files, sums of the file that it came in) is no part of a package.
var carried = map[string]tag{
	"Name": {1000, kindText}, "Version": {1001, kindText}, "Release": {1002, kindText}, "Epoch": {1003, kindInt32},
	"Summary": {1004, kindMessage}, "Description": {1005, kindMessage}, "Buildtime": {1006, kindInt32}, "Buildhost": {1007, kindText},
	"Size": {1009, kindInt32}, "Distribution": {1010, kindText}, "Vendor": {1011, kindText}, "License": {1014, kindText},
	"Packager": {1015, kindText}, "Group": {1016, kindMessage}, "Url": {1020, kindText}, "Os": {1021, kindText}, "Arch": {1022, kindText},
	"Prein": {1023, kindText}, "Postin": {1024, kindText}, "Preun": {1025, kindText}, "Postun": {1026, kindText},
	"Sourcerpm": {1044, kindText}, "Providename": {1047, kindTexts},
	"Requireflags": {1048, kindInt32}, "Requirename": {1049, kindTexts}, "Requireversion": {1050, kindTexts},
	"Conflictflags": {1053, kindInt32}, "Conflictname": {1054, kindTexts}, "Conflictversion": {1055, kindTexts},
	"Rpmversion": {1064, kindText}, "Triggerscripts": {1065, kindTexts}, "Triggername": {1066, kindTexts}, "Triggerversion": {1067, kindTexts},
	"Triggerflags": {1068, kindInt32}, "Triggerindex": {1069, kindInt32}, "Verifyscript": {1079, kindText},
	"Changelogtime": {1080, kindInt32}, "Changelogname": {1081, kindTexts}, "Changelogtext": {1082, kindTexts},
	"Preinprog": {1085, kindOneOrMore}, "Postinprog": {1086, kindOneOrMore}, "Preunprog": {1087, kindOneOrMore}, "Postunprog": {1088, kindOneOrMore},
	"Obsoletename": {1090, kindTexts}, "Verifyscriptprog": {1091, kindOneOrMore}, "Triggerscriptprog": {1092, kindTexts},
	"Cookie": {1094, kindText}, "Prefixes": {1098, kindTexts}, "Provideflags": {1112, kindInt32}, "Provideversion": {1113, kindTexts},
	"Obsoleteflags": {1114, kindInt32}, "Obsoleteversion": {1115, kindTexts}, "Optflags": {1122, kindText}, "Platform": {1132, kindText},
	"Pretrans": {1151, kindText}, "Posttrans": {1152, kindText}, "Pretransprog": {1153, kindOneOrMore}, "Posttransprog": {1154, kindOneOrMore},
	"Preinflags": {5020, kindInt32}, "Postinflags": {5021, kindInt32}, "Preunflags": {5022, kindInt32}, "Postunflags": {5023, kindInt32},
	"Pretransflags": {5024, kindInt32}, "Posttransflags": {5025, kindInt32}, "Verifyscriptflags": {5026, kindInt32}, "Triggerscriptflags": {5027, kindInt32},
	"Ordername": {5035, kindTexts}, "Orderversion": {5036, kindTexts}, "Orderflags": {5037, kindInt32},
	"Recommendname": {5046, kindTexts}, "Recommendversion": {5047, kindTexts}, "Recommendflags": {5048, kindInt32},
	"Suggestname": {5049, kindTexts}, "Suggestversion": {5050, kindTexts}, "Suggestflags": {5051, kindInt32},
	"Supplementname": {5052, kindTexts}, "Supplementversion": {5053, kindTexts}, "Supplementflags": {5054, kindInt32},
	"Enhancename": {5055, kindTexts}, "Enhanceversion": {5056, kindTexts}, "Enhanceflags": {5057, kindInt32},
	"Encoding": {5062, kindText}, "Filedigestalgo": {5011, kindInt32},
}

// The tags of a package's list of files, each with a value for each file.
var (
	fileSizes       = tag{1028, kindInt32}
	fileModes       = tag{1030, kindInt16}
	fileDevices     = tag{1033, kindInt16} // of device nodes
	fileTimes       = tag{1034, kindInt32}
	fileDigests     = tag{1035, kindTexts}
	fileTargets     = tag{1036, kindTexts}
	fileFlags       = tag{1037, kindInt32}
	fileUsers       = tag{1039, kindTexts}
	fileGroups      = tag{1040, kindTexts}
	fileVerifyFlags = tag{1045, kindInt32}
	fileSystems     = tag{1095, kindInt32}
	fileInodes      = tag{1096, kindInt32}
	fileLanguages   = tag{1097, kindTexts}
	fileDirectories = tag{1116, kindInt32}
	fileNames       = tag{1117, kindTexts}
	directoryNames  = tag{1118, kindTexts}
	fileColors      = tag{1140, kindInt32}
	fileCaps        = tag{5010, kindTexts}
)

// The tags that tell of a package file's payload and sums.
var (
	size                    = tag{1009, kindInt32}
	payloadFormat           = tag{1124, kindText}
	payloadCompressor       = tag{1125, kindText}
	payloadFlags            = tag{1126, kindText}
	payloadDigest           = tag{5092, kindTexts}
	payloadDigestKind       = tag{5093, kindInt32}
	sumSize                 = tag{1000, kindInt32}
	sumMD5                  = tag{1004, kindBytes}
	sumPayloadSize          = tag{1007, kindInt32}
	sumSHA1                 = tag{269, kindText}
	sumSHA256               = tag{273, kindText}
	digestSHA256      int64 = 8
)
