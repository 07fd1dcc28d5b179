CREATE TABLE `versions` (
  `major` int(11) unsigned NOT NULL, `minor` int(11) unsigned NOT NULL, `revision` int(11) unsigned NOT NULL,
  `databaserevision` int(11) unsigned NOT NULL, `updatetime` datetime NOT NULL,
  PRIMARY KEY (`major`,`minor`,`revision`,`databaserevision`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `versions` VALUES (7,1,11,63,'2014-09-01 10:00:00'),(7,2,6,64,'2017-02-01 10:00:00');

CREATE TABLE `names` (
  `id` int(11) NOT NULL AUTO_INCREMENT, `nameid` int(11) DEFAULT NULL, `namestring` varchar(255) DEFAULT NULL,
  `guid` blob NOT NULL,
  PRIMARY KEY (`id`), KEY `gni` (`guid`(16),`nameid`), KEY `gns` (`guid`(16),`namestring`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `names` (`nameid`,`namestring`,`guid`) VALUES
  (34051,NULL,X'0820060000000000C000000000000046'),(34054,NULL,X'0820060000000000C000000000000046'),
  (NULL,'Keywords',X'2903020000000000C000000000000046');

CREATE TABLE `users` (
  `id` int(11) NOT NULL AUTO_INCREMENT, `externid` blob DEFAULT NULL, `objectclass` int(11) NOT NULL,
  `signature` varbinary(255) NOT NULL DEFAULT '0', `company` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`), UNIQUE KEY `externid` (`externid`(255),`objectclass`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `users` (`id`,`externid`,`objectclass`,`signature`,`company`) VALUES
  (1,NULL,196610,'',0),(2,NULL,65537,'',0),(3,X'0A',65537,'1',0),(4,X'0B',65537,'1',0),(5,X'0C',65538,'1',0);

CREATE TABLE `object` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT, `externid` blob, `objectclass` int(11) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`,`objectclass`), UNIQUE KEY `id` (`id`), UNIQUE KEY `ext` (`externid`(255),`objectclass`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `object` VALUES (10,X'0A',65537),(11,X'0B',65537),(12,X'0C',65538);

CREATE TABLE `objectproperty` (
  `objectid` int(11) unsigned NOT NULL, `propname` varchar(255) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL, `value` text,
  PRIMARY KEY (`objectid`,`propname`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `objectproperty` VALUES (10,'loginname','alice'),(11,'loginname','bob'),(12,'loginname','carol');

CREATE TABLE `stores` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT, `hierarchy_id` int(11) unsigned NOT NULL DEFAULT 0,
  `user_id` int(11) unsigned NOT NULL DEFAULT 0, `type` smallint(6) unsigned NOT NULL DEFAULT 0,
  `user_name` varchar(255) NOT NULL DEFAULT '', `company` int(11) unsigned NOT NULL DEFAULT 0, `guid` blob NOT NULL,
  PRIMARY KEY (`user_id`,`hierarchy_id`,`type`), UNIQUE KEY `id` (`id`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `stores` VALUES
  (1,1,1,1,'Public',0,X'00112233445566778899AABBCCDDEEFF'),(2,10,3,0,'alice',0,X'10112233445566778899AABBCCDDEEFF'),
  (3,20,4,0,'bob',0,X'20112233445566778899AABBCCDDEEFF');

CREATE TABLE `properties` (
  `hierarchyid` int(11) unsigned NOT NULL DEFAULT 0, `tag` smallint(6) unsigned NOT NULL DEFAULT 0,
  `type` smallint(6) unsigned NOT NULL DEFAULT 0, `val_ulong` int(11) unsigned DEFAULT NULL, `val_string` longtext,
  `val_binary` longblob, `val_double` double DEFAULT NULL, `val_longint` bigint(20) DEFAULT NULL,
  `val_hi` int(11) DEFAULT NULL, `val_lo` int(11) unsigned DEFAULT NULL, `comp` bool DEFAULT 0,
  PRIMARY KEY (`hierarchyid`,`tag`,`type`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `properties` (`hierarchyid`,`tag`,`type`,`val_string`) VALUES (10,12289,30,'Inbox - alice'),(20,12289,30,'Inbox - bob');

CREATE TABLE `hierarchy` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT, `parent` int(11) unsigned DEFAULT 0, `type` tinyint(4) unsigned NOT NULL DEFAULT 0,
  `flags` smallint(6) unsigned NOT NULL DEFAULT 0, `owner` int(11) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`), KEY `parenttypeflags` (`parent`,`type`,`flags`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `hierarchy` VALUES (1,NULL,1,0,1),(10,NULL,1,0,3),(20,NULL,1,0,4);

CREATE TABLE `lob` (
  `instanceid` int(11) unsigned NOT NULL, `chunkid` int(11) unsigned NOT NULL, `tag` smallint(6) unsigned NOT NULL,
  `val_binary` longblob, PRIMARY KEY (`instanceid`,`tag`,`chunkid`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE `singleinstances` (
  `instanceid` int(11) unsigned NOT NULL AUTO_INCREMENT, `hierarchyid` int(11) unsigned NOT NULL DEFAULT 0,
  `tag` smallint(6) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`instanceid`,`hierarchyid`,`tag`), UNIQUE KEY `hkey` (`hierarchyid`,`tag`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `singleinstances` VALUES (1,10,14081),(2,20,14081),(3,20,14082);

CREATE TABLE `settings` (
  `name` varchar(255) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL, `value` blob NOT NULL,
  PRIMARY KEY (`name`)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO `settings` VALUES
  ('charset','utf8'),('attachment_storage','files'),('server_guid',X'A0112233445566778899AABBCCDDEEFF'),('source_key_auto_increment','1');
