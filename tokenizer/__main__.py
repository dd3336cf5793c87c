from tokenizer.cli import main

if __name__ == "__main__":
    main()
