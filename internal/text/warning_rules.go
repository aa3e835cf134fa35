package text

// Texts of warnings about sets of rules, and of the status page about those in force.
var warningRuleTexts = []Entry{
	{"warning.rulewait.is", "ルールのディレクトリを読み込めない状態が続いています", "The directory of rule files is not read"},
	{
		"warning.rulewait.do",
		"以前のルールで判定を続けています。ファイルのコピーが終わっていれば、ディレクトリにある .sekimori-wait を削除してください。自動的に読み直します。",
		"Mail is judged by the rules from before. When the files are complete, remove .sekimori-wait from the directory; they are read by themselves then.",
	},
	{"warning.twin.is", "別のサーバーが、このサーバーの data_dir の複製を使って動いています", "Another host runs with a copy of this one's data_dir"},
	{
		"warning.twin.do",
		"このままでは、メールを調べるときに、2台のうち1台の記録しか表示されません。あとから複製で作ったほうのサーバーで serve を止め、data_dir の中の node というファイルを削除してから、起動し直してください。",
		"Of the two only one is seen when something is looked up. Stop serve on the host that was made as the copy, remove the file node from its data_dir, and start it again.",
	},
	{"warning.rulenodes.is", "サーバーによって、使っているルールが異なります", "The hosts do not have the same rules in force"},
	{
		"warning.rulenodes.do",
		"同じメールでも、届いたサーバーによって判定が変わることがあります。ルールのファイルをすべてのサーバーにコピーしてください。どのサーバーが異なるかは sekimori rules history で確認できます。",
		"The same mail may be judged differently by the host it comes to. Copy the rule files to all hosts; sekimori rules history says which one differs.",
	},

	{"warning.ruleending.is", "期限付きのルールが、まもなく終了するか、終了しました", "Rules with a last day end soon or have ended"},
	{
		"warning.ruleending.do",
		"期限の翌日から、そのルールは適用されません。続けて使う場合は until の日付を先に延ばしてください。不要になったルールは、ファイルから削除してください。",
		"From the day after it such a rule does nothing. To go on with it, set until to a later day; take out of the file what is not needed any more.",
	},
	{"warning.policymode.is", "ポリシーが、判定どおりに扱うモードになっていません", "The policy does not enforce what it decides"},
	{
		"warning.policymode.do",
		"試用中であればこのままで構いません。判定どおりに扱う場合は、[policy] の mode を enforce にしてください。判定の違いは、ログと sekimori trace の「would」で確認できます。",
		"That is as it should be while you try it out. To enforce it, set mode in [policy] to enforce; what would have been done stands as would in the log and in sekimori trace.",
	},
	{"warning.retreat.is", "ルール {about} が自動的に弱められました", "The rule {about} has stepped back by itself"},
	{
		"warning.retreat.do",
		"このルールで隔離したメールの多くを、受信者が受信させたためです。ルールを見直して保存すると、書かれているとおりに戻ります。そのまま元に戻す場合は sekimori rules retreat clear {about} を実行してください。",
		"People released much of what it held. Change the rule, and it does again what is written; to have it back as it is: sekimori rules retreat clear {about}",
	},

	{"status.rules", "使っているルール", "Rules in force"},
	{"status.rules.node", "使っているルール（{node}）", "Rules in force on {node}"},
	{"status.rules.present", "{version}（{since} から）", "{version}, since {since}"},
	{
		"status.rules.refused", "{version}（{since} から）。ディスク上のルールには誤りがあり、使われていません。",
		"{version}, since {since}; the rules on the disk are wrong and not in force",
	},
	{"status.rules.differs", "{version}（{since} から）。このサーバーとは異なります。", "{version}, since {since}; not the same as here"},
	{"status.rules.silent", "{version}（{since} から）。しばらく応答がありません。", "{version}, since {since}; nothing has been heard of this host for a while"},

	{"status.symbols", "シンボルとルールの一覧", "All symbols and rules"},
	{"status.symbols.days", "件数を数えた日数", "Days that are counted"},
	{"status.symbols.counted", "直近{n}日間の件数です。", "The counts are those of the last {n} days."},
	{"status.symbols.came", "該当のあったものだけを表示する", "Only what came up"},
	{"status.symbols.show", "表示する", "Show"},
	{"status.symbols.none", "該当するものはありません。", "There is none."},
	{"status.symbols.unknown", "件数は現在確認できません", "The counts cannot be read at the moment"},
	{"status.symbols.name", "シンボル", "Symbol"},
	{"status.symbols.meaning", "意味", "Meaning"},
	{"status.symbols.score", "点数", "Score"},
	{"status.symbols.default", "標準の点数", "Default"},
	{"status.symbols.hits", "該当", "Hits"},
	{"status.symbols.released", "受信させた件数", "Released"},
	{"status.symbols.observed", "観察のみ", "Observed"},
	{"status.symbols.rules", "ルール", "Rules"},
	{"status.symbols.rule", "ルール", "Rule"},
}
