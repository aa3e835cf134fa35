package text

// Texts of warnings about sets of rules.
var warningRuleTexts = []Entry{
	{"warning.rulewait.is", "ルールのディレクトリを読み込めない状態が続いています", "The directory of rule files is not read"},
	{
		"warning.rulewait.do",
		"以前のルールで判定を続けています。ファイルのコピーが終わっていれば、ディレクトリにある .sekimori-wait を削除してください。自動的に読み直します。",
		"Mail is judged by the rules from before. When the files are complete, remove .sekimori-wait from the directory; they are read by themselves then.",
	},
	{"warning.rulenodes.is", "サーバーによって、使っているルールが異なります", "The hosts do not have the same rules in force"},
	{
		"warning.rulenodes.do",
		"同じメールでも、届いたサーバーによって判定が変わることがあります。ルールのファイルをすべてのサーバーにコピーしてください。どのサーバーが異なるかは sekimori rules history で確認できます。",
		"The same mail may be judged differently by the host it comes to. Copy the rule files to all hosts; sekimori rules history says which one differs.",
	},
}
